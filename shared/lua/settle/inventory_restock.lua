
-- inventory_restock       fields   inventory (a position) item quantity
--                         journal  inventory item quantity available
kinds.inventory_restock = {
  fields = 3,

  decide = function(at, seq)
    local position, item, quantity_text = jobs[at], jobs[at + 1], jobs[at + 2]
    local quantity = integer(quantity_text)
    if not quantity or quantity == 0 then return 'quantity_out_of_range' end

    local inventory = load_inventory(position)
    local request = concat({ name_at(position), item, quantity_text }, '\t')
    local refusal, number, on_hand, reserved, before, behind, text = check_change(inventory, item)
    if refusal then return refused_change(inventory, refusal, request) end
    if inventory.available + inventory.reserved + inventory.sold + quantity > NUMBER_MAX then
      return refused_change(inventory, 'quantity_limit_reached', request)
    end
    if inventory.codes_count and inventory.available + quantity > tickets_left(inventory) then
      return refused_change(inventory, 'limit_above_codes', request)
    end

    put_item(inventory, number, text, before, behind, on_hand + quantity, reserved)
    return 'restocked', request, change_inventory(inventory, seq, inventory.available + quantity)
  end,
}
