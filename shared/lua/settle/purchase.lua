
-- purchase  fields   inventory (a position; its items, stock, buyers, orders and the reservations follow it in KEYS)
--                    customer lines parts (the lines taken apart)
--           journal  inventory customer lines held available held_by_item tickets
-- held is how many units the customer has after it, reserved ones included; held_by_item of each of the lines that has a
-- limit of its own, and left out where none has; tickets are those that the units get, where codes are handed out.
kinds.purchase = {
  fields = 4,
  cancel = { load = load_inventory, first = 1, last = 2, after = order_after },
  gather = gather_lines,

  decide = function(at, seq, id)
    local position, customer, lines_text, lines = jobs[at], jobs[at + 1], jobs[at + 2], jobs[at + 3]
    local inventory = loaded[position] or load_inventory(position)
    local refusal, before, units, limited = check_order(inventory, customer, lines)
    if refusal then return refused_order(inventory, position, customer, lines_text, refusal, before, limited) end

    take_lines(inventory, lines, -1, 0)
    local first, last = halves(seq)
    local is_plain, row_lines, tickets = inventory.is_plain, lines_text, ''
    if not is_plain and inventory.codes_count then row_lines, tickets = sold_lines(inventory, lines) end
    put_order(inventory, id, 'sold\t' .. first .. last .. '\t\t\t' .. customer .. '\t' .. row_lines)
    inventory.sold = inventory.sold + units
    local held = change_count(inventory, 'buyers', customer, before, before + units)
    local request = inventory.id .. '\t' .. customer .. '\t' .. lines_text .. '\t' .. held
    if is_plain then return 'purchased', request, change_inventory(inventory, seq, inventory.available - units) end
    first, last = change_inventory(inventory, seq, inventory.available - units)
    change_item_counts(inventory, limited or {})
    return 'purchased', request, with_told(first, last, item_counts_text(limited), tickets)
  end,
}
