
-- Orders: what a customer bought or reserved, line by line, as long as it lies under its inventory. A reservation is open
-- while something of it is reserved; `reservations` says when that may end (member: inventory TAB id, neither of which
-- holds a TAB). Commit, release and expiry exclude one another, since each moves what is reserved and nothing else.
-- gives   CODE_OF_END gather_orders gather_reservations order_of load_order load_reservation all_lines checked why_not
--         put_on_sale change_order order_was reservation_after order_left
-- What the receipt of a reservation says that ended by itself, by its state.
local CODE_OF_END = { expired = 'reservation_expired', cancelled = 'inventory_cancelled' }
local RESERVED = '^(%l+)\t(%d+)\t(%d*)\t(%x*)\t([^\t]+)\t([^\t]+)$'
local ORDER_LINE = '{(%d+),?(%d*),?(%d*)([#!%d,-]*) ([^}]+)}()'
-- What a state says of its lines.
local COLUMN = { reserved = 'reserved', sold = 'sold', released = 'given', expired = 'given', cancelled = 'given', returned = 'given' }

-- Of a run: the ids of the orders that it names.
local function gather_orders(first, last, width, id_of)
  for at = first, last, width do
    local position = jobs[at]
    local ids = orders_of[position]
    if not ids then
      ids = {}
      orders_of[position] = ids
    end
    ids[#ids + 1] = id_of(at)
  end
end

local function gather_reservations(first, last, width)
  gather_orders(first, last, width, function(at) return jobs[at + 1] end)
end

-- CORRUPT where it cannot be one.
parse_order = function(row)
  local state, seq, hold_text, fingerprint, customer, lines_text = match(row, RESERVED)
  if not state then return CORRUPT end
  local order = { state = state, seq = seq, hold_until_ms = integer(hold_text), fingerprint = fingerprint,
    customer = customer, parts = {} }
  local end_at, open, column = 1, 0, COLUMN[state]
  if not column then return CORRUPT end
  for reserved, sold, given, tickets, item, next_at in gmatch(lines_text, ORDER_LINE) do
    local line = { item = item, reserved = 0, sold = 0, given = 0 }
    if sold == '' and given == '' then
      line[column] = integer(reserved)
    else
      line.reserved, line.sold, line.given = integer(reserved), integer(sold), integer(given)
    end
    line.tickets, line.void = parse_tickets(tickets)
    if not (line.reserved and line.sold and line.given and line.tickets) then return CORRUPT end
    order.parts[#order.parts + 1], end_at, open = line, next_at, open + line.reserved
  end
  if end_at ~= #lines_text + 1 or not integer(seq) or (open > 0) ~= (state == 'reserved')
      or (open > 0 and not order.hold_until_ms) then
    return CORRUPT
  end
  return order
end

-- The order of this id as the batch leaves it; nil if there is none.
local function order_of(inventory, id)
  prepare(inventory)
  if inventory.damaged then return CORRUPT end
  local row = inventory.rows[id]
  if row == nil then
    if not read_fields(inventory.rows, KEYS[inventory.position + 4], { id }) then return CORRUPT end
    row = inventory.rows[id] or false
    inventory.rows[id] = row
  end
  if not row then return nil end
  return parse_order(row)
end

local function change_order(inventory, id, order, state)
  local words, open, was_open = {}, 0, order.state == 'reserved'
  for _, line in ipairs(order.parts) do open = open + line.reserved end
  if was_open then inventory.due[id] = open > 0 and digits(order.hold_until_ms) end
  if was_open and open == 0 then
    inventory.open = inventory.open - 1
    if inventory.open == 0 and inventory.status == 'cancelled' then inventory.due[''] = false end
  end
  if open == 0 then order.state = state end
  for at, line in ipairs(order.parts) do
    local reserved, sold, given = line.reserved, line.sold, line.given
    local is_whole = line[COLUMN[order.state]] == reserved + sold + given
    local text = is_whole and counted(reserved + sold + given) or counted(reserved) .. ',' .. counted(sold) .. ',' .. counted(given)
    words[at] = '{' .. text .. tickets_text(line) .. ' ' .. line.item .. '}'
  end
  put_order(inventory, id, concat({ order.state, order.seq, order.hold_until_ms and digits(order.hold_until_ms) or '',
    order.fingerprint, order.customer, concat(words) }, '\t'))
end

-- How many units of these lines; nil where the items, the inventory, or the customer, have fewer of what is meant: reserved
-- or sold. Then the order knows, as `limited`, what its customer has of the items that have a limit of their own.
local function checked(inventory, order, wanted, part)
  local units, limited = 0, inventory.item_counts and {}
  for _, line in ipairs(wanted) do
    local item, quantity = line.of.item, line.quantity
    local on_hand, reserved, _, behind, text = find_item(inventory, begin_of(item), bucket_of(inventory, item))
    if not on_hand or (part == 'reserved' and reserved < quantity)
        or (limited and not add_limited(limited, inventory, order.customer, item, -quantity, text, behind)) then
      return nil
    end
    units = units + quantity
  end
  order.limited = limited
  if units <= inventory[part] then return units end
end

-- Everything of an order that is reserved, or sold.
local function all_lines(order, part)
  local wanted = {}
  for _, line in ipairs(order.parts) do
    if line[part] > 0 then wanted[#wanted + 1] = { of = line, quantity = line[part] } end
  end
  return wanted
end

-- Why nothing, or not so many of a line, is reserved, or sold.
local function why_not(order, part, line, quantity)
  local is_reserved = part == 'reserved'
  if CODE_OF_END[order.state] then return CODE_OF_END[order.state] end
  local sold, given = 0, 0
  for _, other in ipairs(line and { line } or order.parts) do sold, given = sold + other.sold, given + other.given end
  if is_reserved and sold >= quantity then return 'already_committed' end
  if given >= quantity then return (is_reserved or order.state == 'released') and 'already_released' or 'already_returned' end
  return is_reserved and 'not_reserved' or 'not_sold'
end

-- What the journal shows of an order as it was.
local function order_was(inventory, id) return (string.gsub(inventory.rows[id], '\t', ' ')) end

-- What a job that names an order is about: its inventory, the order, the lines that are meant, as { of = line, quantity },
-- of what is reserved or of what is sold, and their units; or no order, and the code, request and number of what is
-- answered. With what is sold, the request shows the order as it was. `sells` of what an inventory that is cancelled refuses.
local function load_order(at, lines, part, sells)
  local inventory, id = load_inventory(jobs[at]), jobs[at + 1]
  local request, was = concat({ name_at(jobs[at]), id, jobs[at + 2] }, '\t'), part == 'sold' and '\t' or ''
  if inventory == CORRUPT then return inventory, nil, nil, nil, 'corrupt_state' end
  if not inventory then return inventory, nil, nil, nil, not_found('inventory_not_found', request .. was .. '\t') end
  local order = order_of(inventory, id)
  if not order then return inventory, nil, nil, nil, not_found('order_not_found', request .. was .. '\t') end
  local held = order ~= CORRUPT and count_of(inventory, order.customer)
  if not held then return inventory, nil, nil, nil, 'corrupt_state' end
  if part == 'sold' then request = request .. '\t' .. order_was(inventory, id) end
  local function answer(code) return inventory, nil, nil, nil, code, request .. '\t' .. counted(held), counted(inventory.available) end
  local function refused(line, quantity)
    return answer(line == false and 'not_' .. part or why_not(order, part, line, quantity))
  end
  if sells and inventory.status == 'cancelled' then return answer('inventory_cancelled') end

  local wanted = {}
  if not lines[1] then
    wanted = all_lines(order, part)
    if #wanted == 0 then return refused(nil, 1) end
  else
    for n = 1, #lines, 3 do
      local begin, quantity, of = lines[n], lines[n + 1], false
      for _, line in ipairs(order.parts) do
        if begin_of(line.item) == begin then of = line end
      end
      if not of or of[part] < quantity then return refused(of, quantity) end
      wanted[#wanted + 1] = { of = of, quantity = quantity }
    end
  end
  local units = checked(inventory, order, wanted, part)
  if not units or units > held or (part == 'reserved' and inventory.open == 0) then
    return inventory, nil, nil, nil, 'corrupt_state'
  end
  return inventory, order, wanted, units, nil, request
end

local function load_reservation(at, lines, sells) return load_order(at, lines, 'reserved', sells) end

-- Puts these lines of what is reserved on sale again; answers how many units the customer has after it, as the journal has it.
local function put_on_sale(inventory, id, order, wanted, units, state)
  local before = count_of(inventory, order.customer)
  for _, line in ipairs(wanted) do
    change_item(inventory, line.of.item, 0, -line.quantity)
    line.of.reserved, line.of.given = line.of.reserved - line.quantity, line.of.given + line.quantity
  end
  inventory.reserved = inventory.reserved - units
  change_item_counts(inventory, order.limited or {})
  change_order(inventory, id, order, state == 'released' and #all_lines(order, 'sold') > 0 and 'sold' or state)
  return change_count(inventory, 'buyers', order.customer, before, before - units)
end

-- What the journal shows after a job that names an order and is cancelled.
local function reservation_after(inventory, at)
  local order = inventory and order_of(inventory, jobs[at + 1])
  if not order then return '\t' end
  local held = order ~= CORRUPT and count_of(inventory, order.customer)
  return held and counted(held) .. '\t' .. counted(inventory.available)
end

-- The same where the journal shows the order as it was; of a cancelled job it does not.
local function order_left(inventory, at)
  local after = reservation_after(inventory, at)
  return after and '\t' .. after
end
