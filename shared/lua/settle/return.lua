
-- return    what was sold is on sale again, all of it or some of the lines; at any time
--           fields   inventory (a position; its items, stock, buyers, orders and the reservations follow it in KEYS)
--                    order lines ('' for all) parts (the lines taken apart)
--           journal  inventory order lines order_was held available held_by_item void
-- What an order has sold falls by what comes back, and is never more than it bought.
kinds['return'] = {
  fields = 4,
  cancel = { load = load_inventory, first = 1, last = 2, after = order_left },
  gather = gather_reservations,

  decide = function(at, seq)
    local inventory, order, wanted, units, refusal, request, available = load_order(at, jobs[at + 3], 'sold')
    if not order then return refusal, request, available end

    local before, void = count_of(inventory, order.customer), ''
    for _, line in ipairs(inventory.codes_count and wanted or {}) do
      local taken
      line.of.tickets, taken = take_tickets(line.of.tickets, line.quantity)
      if not taken then return 'corrupt_state' end
      line.of.void, void = add_tickets(line.of.void, taken), add_tickets(void, taken)
    end
    for _, line in ipairs(wanted) do
      change_item(inventory, line.of.item, line.quantity, 0)
      line.of.sold, line.of.given = line.of.sold - line.quantity, line.of.given + line.quantity
    end
    inventory.sold = inventory.sold - units
    change_item_counts(inventory, order.limited or {})
    local is_over = order.state == 'sold' and #all_lines(order, 'sold') == 0
    change_order(inventory, jobs[at + 1], order, is_over and 'returned' or order.state)
    local first, last = change_inventory(inventory, seq, inventory.available + units)
    return 'returned', request .. '\t' .. change_count(inventory, 'buyers', order.customer, before, before - units),
      with_told(first, last, item_counts_text(order.limited), void)
  end,
}
