
-- inventory_load          fields   inventory (a position) stock items units
--                         journal  inventory stock items units available
--
-- The items were uploaded by stock_load, which counted them: they are compared, and none is read.
kinds.inventory_load = {
  fields = 4,

  decide = function(at, seq)
    local position, stock, items_text, units_text = jobs[at], jobs[at + 1], jobs[at + 2], jobs[at + 3]
    local items, units = integer(items_text), integer(units_text)
    if not items or items == 0 then return 'quantity_out_of_range' end
    if not units then return 'limit_out_of_range' end

    local inventory = load_inventory(position)
    if inventory == CORRUPT then return 'corrupt_state' end
    local request = concat({ name_at(position), stock, items_text, units_text }, '\t')
    if not inventory then return not_found('inventory_not_found', request) end
    if inventory.bucket_count > 0 then return 'already_loaded', request, counted(inventory.available) end
    if inventory.status ~= 'loading' then return WHY_ENDED[inventory.status], request, counted(inventory.available) end
    local key = KEYS[position + 2]
    local uploaded = pcall_redis('HMGET', key, 'name', 'items', 'units', 'buckets', 'taken', 'limited')
    local count = integer(uploaded[4])
    if uploaded.err or uploaded[1] ~= stock or uploaded[2] ~= items_text or uploaded[3] ~= units_text
        or not count or count == 0 or uploaded[5] ~= uploaded[4] or pcall_redis('HLEN', key) ~= count + 6 then
      return 'stock_incomplete'
    end
    if inventory.codes_count and units > inventory.codes_count then return 'too_few_codes' end

    inventory.bucket_count, inventory.status = count, 'open'
    inventory.out_of_time = out_of_time(inventory)
    if uploaded[6] ~= '0' then inventory.item_counts = 0 end
    set_plain(inventory)
    inventory.terms = inventory.terms or {}
    for _, word in ipairs({ 'stock', stock, 'items', items_text, 'buckets', uploaded[4] }) do
      inventory.terms[#inventory.terms + 1] = word
    end
    return 'inventory_loaded', request, change_inventory(inventory, seq, units)
  end,
}
