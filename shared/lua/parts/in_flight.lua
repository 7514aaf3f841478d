
-- Rows in flight: what was taken from a queue and is not settled, one row a batch (ARCHITECTURE.md, "Ranges in flight").
-- The head has of each queue `taken` (C, the last entry that was taken), `taken_count` and `rows`. The invariant: every
-- entry up to C is settled and counted, or lies in exactly one row; every entry behind C waits.
--
-- The field of a row is the C before it: an exclusive lower bound. Its value:
-- <token> TAB <worker> TAB <taken_at_ms> TAB <deliveries> TAB <last> TAB <count> TAB <ids>
-- ids is '' where the row is everything up to last; else what is left of it, a space between two. token is of whoever
-- took the row last, and of nobody else ever. count may be more than there is: waiting entries that somebody deleted
-- may be counted as taken.
-- gives   read_flight write_flight is_before ids_of set_of rows_problem
local function read_flight(text)
  if type(text) ~= 'string' then return nil end
  local token, worker, taken_at_ms, deliveries, last, count, ids =
    string.match(text, '^(%x+)\t([^\t]+)\t(%d+)\t(%d+)\t(%d+%-%d+)\t(%d+)\t([%d%- ]*)$')
  taken_at_ms, deliveries, count = integer(taken_at_ms), integer(deliveries), integer(count)
  if not (taken_at_ms and deliveries and count) then return nil end
  if ids ~= '' then
    local words = 0
    for id in string.gmatch(ids, '%S+') do
      if not string.match(id, '^%d+%-%d+$') then return nil end
      words = words + 1
    end
    if words ~= count then return nil end
  end
  return { token = token, worker = worker, taken_at_ms = taken_at_ms, deliveries = deliveries, last = last,
    count = count, ids = ids }
end

local function write_flight(row)
  return table.concat({ row.token, row.worker, digits(row.taken_at_ms), digits(row.deliveries), row.last,
    digits(row.count), row.ids }, '\t')
end

-- Whether one entry comes before another. Compared as text: ids have 64 bits, Lua's numbers 53.
local function is_before(a, b)
  local a_ms, a_seq = string.match(a, '^(%d+)-(%d+)$')
  local b_ms, b_seq = string.match(b, '^(%d+)-(%d+)$')
  if a_ms ~= b_ms then return #a_ms < #b_ms or (#a_ms == #b_ms and a_ms < b_ms) end
  return #a_seq < #b_seq or (#a_seq == #b_seq and a_seq < b_seq)
end

local function ids_of(text)
  local ids = {}
  for id in string.gmatch(text, '%S+') do ids[#ids + 1] = id end
  return ids
end

local function set_of(ids)
  local set = {}
  for _, id in ipairs(ids) do set[id] = true end
  return set
end

-- What the rows' own count says is wrong with them; nil if nothing.
local function rows_problem(in_flight_key, rows)
  local length = redis.pcall('HLEN', in_flight_key)
  if type(length) ~= 'number' then return in_flight_key .. ': ' .. length.err end
  if length ~= rows then return in_flight_key .. ': ' .. length .. ' rows, where the head counts ' .. digits(rows) end
end
