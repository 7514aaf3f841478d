
-- inventory_create        fields   inventory (a position) per_customer opens_at_ms closes_at_ms
--                         journal  inventory per_customer opens_at_ms closes_at_ms available
kinds.inventory_create = {
  fields = 4,

  decide = function(at, seq)
    local position, most_text, opens_text, closes_text = jobs[at], jobs[at + 1], jobs[at + 2], jobs[at + 3]
    local most, opens_at_ms, closes_at_ms = optional(most_text), optional(opens_text), optional(closes_text)
    if most == nil or most == 0 then return 'quantity_out_of_range' end
    if opens_at_ms == nil or closes_at_ms == nil then return 'time_malformed' end

    local id, inventory = name_at(position), load_inventory(position)
    if inventory == CORRUPT then return 'corrupt_state' end
    local request = concat({ id, most_text, opens_text, closes_text }, '\t')
    if inventory then return 'inventory_exists', request, counted(inventory.available) end

    inventory = {
      position = position, key = KEYS[position], id = id, available = 0, reserved = 0, sold = 0, per_customer = most,
      opens_at_ms = opens_at_ms, closes_at_ms = closes_at_ms, status = 'loading', out_of_time = 'not_started',
      bucket_count = 0, copied = 0, buyers = 0, orders = 0, open = 0, created = true,
      terms = { 'per_customer', most_text, 'opens_at_ms', opens_text, 'closes_at_ms', closes_text,
        'stock', '', 'items', '0', 'buckets', '0', 'item_counts', '' },
    }
    loaded[position] = inventory
    return 'inventory_created', request, change_inventory(inventory, seq, 0)
  end,
}
