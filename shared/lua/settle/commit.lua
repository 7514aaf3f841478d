
-- commit    what was reserved is sold, all of it or some of the lines; whatever the time, as long as it is not released
--           fields   inventory (a position; its items, stock, buyers, orders and the reservations follow it in KEYS)
--                    reservation lines ('' for all) parts (the lines taken apart)
--           journal  inventory reservation lines held available tickets
kinds.commit = {
  fields = 4,
  cancel = { load = load_inventory, first = 1, last = 2, after = reservation_after },
  gather = gather_reservations,

  decide = function(at, seq)
    local inventory, order, wanted, units, refusal, request, available = load_reservation(at, jobs[at + 3], true)
    if not order then return refusal, request, available end

    local first_ticket = inventory.codes_count and inventory.tickets + 1
    for _, line in ipairs(wanted) do
      change_item(inventory, line.of.item, -line.quantity, -line.quantity)
      line.of.reserved, line.of.sold = line.of.reserved - line.quantity, line.of.sold + line.quantity
      if first_ticket then line.of.tickets = add_tickets(line.of.tickets, hand_out(inventory, line.quantity)) end
    end
    inventory.reserved, inventory.sold = inventory.reserved - units, inventory.sold + units
    change_order(inventory, jobs[at + 1], order, 'sold')
    local first, last = change_inventory(inventory, seq, inventory.available)
    local tickets = first_ticket and range_text(first_ticket, inventory.tickets) or ''
    return 'committed', request .. '\t' .. counted(count_of(inventory, order.customer)), with_told(first, last, tickets)
  end,
}
