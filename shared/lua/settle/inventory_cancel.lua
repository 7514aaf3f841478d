
-- inventory_cancel        fields   inventory (a position)
--                         journal  inventory available
-- Its open reservations end one by one (see expire.lua). Until none is left, the index of reservations has a member of
-- the inventory alone, in front of all others: so that whoever ends them finds it.
kinds.inventory_cancel = {
  fields = 1,

  decide = function(at, seq)
    local position = jobs[at]
    local id, inventory = name_at(position), load_inventory(position)
    if inventory == CORRUPT then return 'corrupt_state' end
    if not inventory then return not_found('inventory_not_found', id) end
    prepare(inventory)
    if inventory.damaged then return 'corrupt_state' end
    local why = (inventory.status == 'cancelled' or inventory.status == 'archived') and WHY_ENDED[inventory.status]
    if why then return why, id, counted(inventory.available) end

    inventory.status, inventory.out_of_time = 'cancelled', 'inventory_cancelled'
    if inventory.open > 0 then inventory.due[''] = '0' end
    return 'sale_cancelled', id, change_inventory(inventory, seq, inventory.available)
  end,
}
