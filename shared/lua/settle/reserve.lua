
-- reserve   fields   inventory (a position; its items, stock, buyers, orders and the reservations follow it in KEYS)
--                    customer lines hold_for_ms parts (the lines taken apart)
--           journal  inventory customer lines hold_for_ms held available held_by_item
-- held and held_by_item are as those of a purchase.
kinds.reserve = {
  fields = 5,
  cancel = { load = load_inventory, first = 1, last = 3, after = order_after },
  gather = function(first, last, width)
    gather_lines(first, last, width)
    gather_orders(first, last, width, function(at) return jobs[at - COMMON_FIELDS] end)
  end,

  -- A reservation may outlive its receipt's bucket; it answers for its id as the receipt would.
  hold_of = function(at)
    local inventory = load_inventory(jobs[at])
    if not inventory then return nil end
    if inventory == CORRUPT then return CORRUPT_HOLD end
    local order = order_of(inventory, jobs[at - COMMON_FIELDS])
    if order == CORRUPT then return CORRUPT_HOLD end
    if not order then return nil end
    return { order.fingerprint, CODE_OF_END[order.state] or 'reserved', order.seq }
  end,

  decide = function(at, seq, id, fingerprint)
    local position, customer, lines_text, hold_text, lines = jobs[at], jobs[at + 1], jobs[at + 2], jobs[at + 3], jobs[at + 4]
    local hold_for_ms = integer(hold_text)
    if not hold_for_ms or hold_for_ms == 0 then return 'duration_out_of_range' end
    local inventory = loaded[position] or load_inventory(position)
    local refusal, before, units, limited = check_order(inventory, customer, lines)
    if refusal then
      return refused_order(inventory, position, customer, lines_text .. '\t' .. hold_text, refusal, before, limited)
    end

    take_lines(inventory, lines, 0, 1)
    local hold_until_ms = digits(now_ms + hold_for_ms)
    put_order(inventory, id, concat({ 'reserved', counted(seq), hold_until_ms, fingerprint, customer, lines_text }, '\t'))
    inventory.due[id] = hold_until_ms
    inventory.reserved, inventory.open = inventory.reserved + units, inventory.open + 1
    local held = change_count(inventory, 'buyers', customer, before, before + units)
    change_item_counts(inventory, limited or {})
    local first, last = change_inventory(inventory, seq, inventory.available - units)
    return 'reserved', concat({ inventory.id, customer, lines_text, hold_text, held }, '\t'),
      with_told(first, last, item_counts_text(limited))
  end,
}
