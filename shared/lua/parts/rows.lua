
-- Every row, the oldest first; nil and the problem if one is damaged.
-- gives   rows_of settled_below
local function rows_of(in_flight_key, rows)
  local problem = rows_problem(in_flight_key, rows)
  if problem then return nil, problem end
  local list, found = redis.call('HGETALL', in_flight_key), {}
  for i = 1, #list, 2 do
    local row = string.match(list[i], '^%d+%-%d+$') and read_flight(list[i + 1])
    if not row then return nil, in_flight_key .. ': row ' .. list[i] end
    row.key = list[i]
    found[#found + 1] = row
  end
  table.sort(found, function(a, b) return is_before(a.key, b.key) end)
  return found
end

-- Everything up to the oldest row was taken and settled; without a row, everything up to C. Read in the script that
-- trims, never by its caller: a trim above an entry that was taken meanwhile would lose it. nil if a row is damaged.
local function settled_below(in_flight_key, taken)
  local least
  for _, key in ipairs(redis.call('HKEYS', in_flight_key)) do
    if not string.match(key, '^%d+%-%d+$') then return nil end
    if not least or is_before(key, least) then least = key end
  end
  return least or taken
end
