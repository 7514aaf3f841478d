
-- Tickets: where an inventory hands out codes, each unit that is sold has a ticket, the number of its code. They are handed
-- out in order, each once: that of what comes back is void. A line of an order has those of what it has sold, and behind
-- `!` those that are void, as `#17-18,20!19`, between its numbers and its item. What is reserved has none yet, and no more
-- is reserved than there are codes.
-- gives   tickets_left range_text hand_out add_tickets take_tickets tickets_text parse_tickets sold_lines
-- How many units can be sold or reserved still, for each of which there is a code.
local function tickets_left(inventory) return inventory.codes_count - inventory.tickets - inventory.reserved end

local function range_text(first, last)
  return first == last and counted(first) or counted(first) .. '-' .. counted(last)
end

local function hand_out(inventory, units)
  local first = inventory.tickets + 1
  inventory.tickets = inventory.tickets + units
  return range_text(first, inventory.tickets)
end

local function add_tickets(tickets, more) return tickets == '' and more or tickets .. ',' .. more end

-- Takes so many of these tickets, the last ones; answers what is left and what was taken, or nil if they are not so many.
local function take_tickets(tickets, quantity)
  local taken = ''
  while quantity > 0 do
    local rest, range = match(tickets, '^(.*),([^,]+)$')
    local first_text, last_text = match(range or tickets, '^(%d+)%-?(%d*)$')
    local first = integer(first_text)
    local last = last_text == '' and first or integer(last_text)
    if not (first and last) or last < first then return nil end
    local from = math.max(first, last - quantity + 1)
    taken = taken == '' and range_text(from, last) or range_text(from, last) .. ',' .. taken
    tickets, quantity = rest or '', quantity - (last - from + 1)
    if from > first then tickets = add_tickets(tickets, range_text(first, from - 1)) end
  end
  return tickets, taken
end

local function tickets_text(line)
  if line.tickets == '' and line.void == '' then return '' end
  return '#' .. line.tickets .. (line.void == '' and '' or '!' .. line.void)
end

-- Those of what is sold, and those that are void; nil if the text is none.
local function parse_tickets(text)
  if text == '' then return '', '' end
  return match(text, '^#([%d,-]*)!?([%d,-]*)$')
end

-- The lines of an order that is sold at once, each with its tickets; and all of these.
local function sold_lines(inventory, lines)
  local first, words = inventory.tickets + 1, {}
  for at = 1, #lines, 3 do
    words[#words + 1] = '{' .. counted(lines[at + 1]) .. '#' .. hand_out(inventory, lines[at + 1]) .. ' '
      .. string.sub(lines[at], 2, -2) .. '}'
  end
  return concat(words), range_text(first, inventory.tickets)
end
