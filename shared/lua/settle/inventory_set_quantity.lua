
-- inventory_set_quantity  fields   inventory (a position) item quantity expected ('' where none is)
--                         journal  inventory item quantity expected available
kinds.inventory_set_quantity = {
  fields = 4,

  decide = function(at, seq)
    local position, item, quantity_text, expected_text = jobs[at], jobs[at + 1], jobs[at + 2], jobs[at + 3]
    local quantity, expected = integer(quantity_text), optional(expected_text)
    if not quantity or expected == nil then return 'limit_out_of_range' end

    local inventory = load_inventory(position)
    local request = concat({ name_at(position), item, quantity_text, expected_text }, '\t')
    local refusal, number, on_hand, reserved, before, behind, text = check_change(inventory, item)
    if not refusal and expected and expected ~= on_hand then refusal = 'quantity_not_as_expected' end
    if not refusal and quantity < reserved then refusal = 'quantity_below_reserved' end
    if not refusal and inventory.available + inventory.reserved + inventory.sold - on_hand + quantity > NUMBER_MAX then
      refusal = 'quantity_limit_reached'
    end
    if not refusal and inventory.codes_count and quantity > on_hand
        and inventory.available - on_hand + quantity > tickets_left(inventory) then
      refusal = 'limit_above_codes'
    end
    if refusal then return refused_change(inventory, refusal, request) end

    put_item(inventory, number, text, before, behind, quantity, reserved)
    return 'quantity_set', request, change_inventory(inventory, seq, inventory.available - on_hand + quantity)
  end,
}
