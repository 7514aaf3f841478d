
-- exchange  one unit of an order for one of another item: reserved stays reserved, else sold stays sold
--           fields   inventory (a position; its items, stock, buyers, orders and the reservations follow it in KEYS)
--                    order from to
--           journal  inventory order from to order_was held available held_by_item tickets void
-- It gives nothing back: the order has as many units as it had, and a line of which nothing is left is gone, but for one
-- that has void tickets.
local LINES_MAX = 64

kinds.exchange = {
  fields = 4,
  cancel = { load = load_inventory, first = 1, last = 3, after = order_left },
  gather = gather_reservations,

  decide = function(at, seq)
    local id, from, to = jobs[at + 1], jobs[at + 2], jobs[at + 3]
    if from == to then return 'same_item' end
    local inventory = load_inventory(jobs[at])
    local request = concat({ name_at(jobs[at]), id, from, to }, '\t')
    if inventory == CORRUPT then return 'corrupt_state' end
    if not inventory then return not_found('inventory_not_found', request .. '\t\t') end
    local order = order_of(inventory, id)
    if order == CORRUPT then return 'corrupt_state' end
    local held = order and count_of(inventory, order.customer)
    if order and not held then return 'corrupt_state' end
    local on_hand, reserved, _, behind, text
    if inventory.bucket_count > 0 then
      on_hand, reserved, _, behind, text = find_item(inventory, begin_of(to), bucket_of(inventory, to))
    end
    if on_hand == false then return 'corrupt_state' end
    request = request .. '\t' .. (order and order_was(inventory, id) .. '\t' .. counted(held) or '\t')
    local available = order and counted(inventory.available)
    if inventory.bucket_count > 0 and not on_hand then return not_found('item_not_found', request, available) end
    if not order then return not_found('order_not_found', request) end
    if inventory.out_of_time then return inventory.out_of_time, request, available end
    if on_hand == reserved then return 'sold_out', request, available end
    local lacks_code = inventory.codes_count and tickets_left(inventory) < 1

    local line, line_at, other
    for n, known in ipairs(order.parts) do
      if known.item == from then line, line_at = known, n elseif known.item == to then other = known end
    end
    local part = line and (line.reserved > 0 and 'reserved' or line.sold > 0 and 'sold')
    if part == 'sold' and lacks_code then return 'sold_out', request, available end
    if not part then return line and why_not(order, 'sold', line, 1) or 'not_in_order', request, available end
    if not checked(inventory, order, { { of = line, quantity = 1 } }, part) then return 'corrupt_state' end
    local limited = order.limited
    if limited and not add_limited(limited, inventory, order.customer, to, 1, text, behind) then return 'corrupt_state' end
    if limited and passes_limit(limited) then
      return 'customer_limit_reached', request, with_told(available, nil, item_counts_text(limited))
    end
    local tickets, void = '', ''
    if inventory.codes_count and part == 'sold' then
      line.tickets, void = take_tickets(line.tickets, 1)
      if not void then return 'corrupt_state' end
      line.void = add_tickets(line.void, void)
    end
    line[part] = line[part] - 1
    if line.reserved + line.sold + line.given == 0 and line.void == '' then table.remove(order.parts, line_at) end
    if not other then
      if #order.parts == LINES_MAX then return 'too_many_lines' end
      other = { item = to, reserved = 0, sold = 0, given = 0, tickets = '', void = '' }
      order.parts[#order.parts + 1] = other
    end
    other[part] = other[part] + 1
    if void ~= '' then
      tickets = hand_out(inventory, 1)
      other.tickets = add_tickets(other.tickets, tickets)
    end

    local moved = part == 'reserved' and 1 or 0
    change_item(inventory, from, 1 - moved, -moved)
    change_item(inventory, to, moved - 1, moved)
    change_order(inventory, id, order, order.state)
    change_item_counts(inventory, limited or {})
    local first, last = change_inventory(inventory, seq, inventory.available)
    return 'exchanged', request, with_told(first, last, item_counts_text(limited), tickets, void)
  end,
}
