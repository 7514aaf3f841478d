
-- inventory_archive       fields   inventory (a position)
--                         journal  inventory available
-- Its orders, its buyers and what it was sold from go, all in this step: UNLINK takes a key out of the keyspace and leaves
-- its memory to another thread. The list that it was loaded with stays: by it and the journal its sales are proved.
kinds.inventory_archive = {
  fields = 1,

  decide = function(at, seq)
    local position = jobs[at]
    local id, inventory = name_at(position), load_inventory(position)
    if inventory == CORRUPT then return 'corrupt_state' end
    if not inventory then return not_found('inventory_not_found', id) end
    prepare(inventory)
    if inventory.damaged then return 'corrupt_state' end
    local why = inventory.status == 'archived' and 'inventory_archived'
      or inventory.status ~= 'closed' and inventory.status ~= 'cancelled' and 'inventory_open'
      or inventory.open > 0 and 'reservations_open'
    if why then return why, id, counted(inventory.available) end
    local lacked = lacks_right('UNLINK', KEYS[position + 4])
    if lacked then error(lacked) end   -- nothing is written yet

    inventory.status, inventory.out_of_time, inventory.is_cleared = 'archived', 'inventory_archived', true
    inventory.copied, inventory.buyers, inventory.orders = 0, 0, 0
    inventory.item_counts = inventory.item_counts and 0
    inventory.buckets_changed, inventory.counts_changed, inventory.orders_changed = {}, { n = 0 }, { n = 0 }
    inventory.counts, inventory.rows = {}, setmetatable({}, { __index = function() return false end })
    return 'archived', id, change_inventory(inventory, seq, inventory.available)
  end,
}
