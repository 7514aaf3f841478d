
-- expire    what is reserved and not committed is on sale again, since its time is over, or its inventory is cancelled:
--           a step of its reservation, under the reservation's own id
--           fields   inventory (a position; its items, stock, buyers, orders and the reservations follow it in KEYS)
--                    as_of_ms
--           journal  inventory as_of_ms held available held_by_item
--
-- as_of_ms is the lesser of a reading of the server's time and the enqueue time of what was the oldest unsettled entry of
-- the partition after it. So no commit that waits anywhere now was sent before a reservation ended that this ends: it was
-- there at the reading, or came after it.
kinds.expire = {
  fields = 2,
  step = true,
  gather = function(first, last, width)
    gather_orders(first, last, width, function(at) return jobs[at - COMMON_FIELDS] end)
  end,

  decide = function(at, seq, id)
    local as_of_text = jobs[at + 1]
    local as_of_ms = integer(as_of_text)
    local inventory = load_inventory(jobs[at])
    if not as_of_ms or not inventory or inventory == CORRUPT then return 'corrupt_state' end
    local order = order_of(inventory, id)
    if not order or order == CORRUPT or not count_of(inventory, order.customer) then return 'corrupt_state' end
    local ended_as = CODE_OF_END[order.state]
    if ended_as then return 'replayed:' .. ended_as .. ':' .. order.seq end
    if order.state ~= 'reserved' then return 'reservation_not_open' end
    local state = inventory.status == 'cancelled' and 'cancelled' or 'expired'
    if state == 'expired' and order.hold_until_ms > math.min(as_of_ms, now_ms) then return 'hold_not_expired' end
    local wanted = all_lines(order, 'reserved')
    local units = checked(inventory, order, wanted, 'reserved')
    if not units or inventory.open == 0 then return 'corrupt_state' end
    order.seq = counted(seq)
    local held = put_on_sale(inventory, id, order, wanted, units, state)
    local first, last = change_inventory(inventory, seq, inventory.available + units)
    first, last = with_told(first, last, item_counts_text(order.limited))
    return CODE_OF_END[state], inventory.id .. '\t' .. as_of_text .. '\t' .. held, first, last, order.fingerprint
  end,
}
