
-- purchase  fields   inventory (a position; its items, stock, buyers, orders and the reservations follow it in KEYS)
--                    customer lines
--           journal  inventory customer lines held available
-- held is how many units the customer has after it, reserved ones included.
kinds.purchase = {
  fields = 3,
  cancel = { load = load_inventory, first = 1, last = 2, after = order_after },
  gather = gather_lines,

  decide = function(at, seq, id)
    local position, customer, lines_text = jobs[at], jobs[at + 1], jobs[at + 2]
    local inventory = loaded[position] or load_inventory(position)
    local refusal, before, units, lines = check_order(inventory, customer, lines_text)
    if refusal then return refused_order(inventory, position, customer, lines_text, refusal, before) end

    for line = 1, #lines, 2 do change_item(inventory, lines[line], -lines[line + 1], 0) end
    put_order(inventory, id, 'sold\t' .. counted(seq) .. '\t\t\t' .. customer .. '\t' .. gsub(lines_text, '{(%d+) ', '{0 %1 0 '))
    inventory.sold = inventory.sold + units
    local held = change_count(inventory, customer, before, before + units)
    return 'purchased', inventory.id .. '\t' .. customer .. '\t' .. lines_text .. '\t' .. held,
      change_inventory(inventory, seq, inventory.available - units)
  end,
}
