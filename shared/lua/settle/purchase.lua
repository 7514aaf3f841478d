
-- purchase  fields   inventory (a position; its items, stock, buyers, orders and the reservations follow it in KEYS)
--                    customer lines parts (the lines taken apart)
--           journal  inventory customer lines held available
-- held is how many units the customer has after it, reserved ones included.
kinds.purchase = {
  fields = 4,
  cancel = { load = load_inventory, first = 1, last = 2, after = order_after },
  gather = gather_lines,

  decide = function(at, seq, id)
    local position, customer, lines_text, lines = jobs[at], jobs[at + 1], jobs[at + 2], jobs[at + 3]
    local inventory = loaded[position] or load_inventory(position)
    local refusal, before, units = check_order(inventory, customer, lines)
    if refusal then return refused_order(inventory, position, customer, lines_text, refusal, before) end

    take_lines(inventory, lines, -1, 0)
    local first, last = halves(seq)
    put_order(inventory, id, 'sold\t' .. first .. last .. '\t\t\t' .. customer .. '\t' .. lines_text)
    inventory.sold = inventory.sold + units
    local held = change_count(inventory, customer, before, before + units)
    return 'purchased', inventory.id .. '\t' .. customer .. '\t' .. lines_text .. '\t' .. held,
      change_inventory(inventory, seq, inventory.available - units)
  end,
}
