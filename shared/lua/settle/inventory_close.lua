
-- inventory_close         fields   inventory (a position)
--                         journal  inventory available
kinds.inventory_close = {
  fields = 1,

  decide = function(at, seq)
    local position = jobs[at]
    local id, inventory = name_at(position), load_inventory(position)
    if inventory == CORRUPT then return 'corrupt_state' end
    if not inventory then return not_found('inventory_not_found', id) end
    local why = inventory.status ~= 'loading' and WHY_ENDED[inventory.status]
    if why then return why, id, counted(inventory.available) end

    inventory.status, inventory.out_of_time = 'closed', 'ended'
    return 'closed', id, change_inventory(inventory, seq, inventory.available)
  end,
}
