
-- extend    a reservation ends later, never earlier
--           fields   inventory (a position; its items, stock, buyers, orders and the reservations follow it in KEYS)
--                    reservation hold_for_ms
--           journal  inventory reservation hold_for_ms held available
kinds.extend = {
  fields = 3,
  cancel = { load = load_inventory, first = 1, last = 2, after = reservation_after },
  gather = gather_reservations,

  decide = function(at, seq)
    local hold_for_ms = integer(jobs[at + 2])
    if not hold_for_ms or hold_for_ms == 0 then return 'duration_out_of_range' end
    local inventory, order, _, _, refusal, request, available = load_reservation(at, {}, true)
    if not order then return refusal, request, available end
    order.hold_until_ms = math.max(order.hold_until_ms, now_ms + hold_for_ms)
    change_order(inventory, jobs[at + 1], order, 'reserved')
    return 'extended', request .. '\t' .. counted(count_of(inventory, order.customer)),
      change_inventory(inventory, seq, inventory.available)
  end,
}
