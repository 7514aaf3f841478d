
-- inventory_create        fields   inventory (a position) per_customer opens_at_ms closes_at_ms
--                                  codes (a position; '' where there is none) codes_count
--                         journal  inventory per_customer opens_at_ms closes_at_ms codes codes_count available
kinds.inventory_create = {
  fields = 6,

  decide = function(at, seq)
    local position, most_text, opens_text, closes_text = jobs[at], jobs[at + 1], jobs[at + 2], jobs[at + 3]
    local most, opens_at_ms, closes_at_ms = optional(most_text), optional(opens_text), optional(closes_text)
    if most == nil or most == 0 then return 'quantity_out_of_range' end
    if opens_at_ms == nil or closes_at_ms == nil then return 'time_malformed' end

    local codes_position, codes_text = jobs[at + 4], jobs[at + 5]
    local codes, codes_count = codes_position ~= '' and name_at(codes_position) or '', optional(codes_text)
    if codes_count == nil or codes_count == 0 or (codes == '') ~= not codes_count then return 'quantity_out_of_range' end

    local id, inventory = name_at(position), load_inventory(position)
    if inventory == CORRUPT then return 'corrupt_state' end
    -- As those of a campaign, codes are uploaded before and never change after: ticket n has code n.
    if codes_count and pcall_redis('HLEN', KEYS[codes_position]) ~= codes_count then return 'codes_incomplete' end
    local request = concat({ id, most_text, opens_text, closes_text, codes, codes_text }, '\t')
    if inventory then return 'inventory_exists', request, counted(inventory.available) end

    inventory = {
      position = position, key = KEYS[position], id = id, available = 0, reserved = 0, sold = 0, per_customer = most,
      opens_at_ms = opens_at_ms, closes_at_ms = closes_at_ms, status = 'loading', out_of_time = 'not_started',
      bucket_count = 0, copied = 0, buyers = 0, orders = 0, open = 0, codes_count = codes_count, tickets = codes_count and 0,
      created = true,
      terms = { 'per_customer', most_text, 'opens_at_ms', opens_text, 'closes_at_ms', closes_text,
        'stock', '', 'items', '0', 'buckets', '0', 'item_counts', '', 'codes', codes, 'codes_count', codes_text,
        'tickets', '' },
    }
    set_plain(inventory)
    loaded[position] = inventory
    return 'inventory_created', request, change_inventory(inventory, seq, 0)
  end,
}
