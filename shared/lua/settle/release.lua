
-- release   what was reserved is on sale again, all of it or some of the lines
--           fields   inventory (a position; its items, stock, buyers, orders and the reservations follow it in KEYS)
--                    reservation lines ('' for all) parts (the lines taken apart)
--           journal  inventory reservation lines held available held_by_item
kinds.release = {
  fields = 4,
  cancel = { load = load_inventory, first = 1, last = 2, after = reservation_after },
  gather = gather_reservations,

  decide = function(at, seq)
    local inventory, order, wanted, units, refusal, request, available = load_reservation(at, jobs[at + 3])
    if not order then return refusal, request, available end
    local held = put_on_sale(inventory, jobs[at + 1], order, wanted, units, 'released')
    local first, last = change_inventory(inventory, seq, inventory.available + units)
    return 'released', request .. '\t' .. held, with_told(first, last, item_counts_text(order.limited))
  end,
}
