
-- Rows in flight: what was taken from a queue and is not settled, one row a batch (ARCHITECTURE.md, "Ranges in flight").
-- The head has of each queue `taken` (C, the last entry that was taken), `taken_count` and `rows`. The invariant: every
-- entry up to C is settled and counted, or lies in exactly one row; every entry behind C waits.
--
-- The field of a row is the C before it: an exclusive lower bound. Its value:
-- <token> TAB <worker> TAB <taken_at_ms> TAB <deliveries> TAB <last> TAB <count> TAB <ids>
-- ids is '' where the row is everything up to last; else what is left of it, a space between two. token is of whoever
-- took the row last, and of nobody else ever. count may be more than there is: waiting entries that somebody deleted
-- may be counted as taken.
local GROUP = 'cursor'

local function queue_taken_field(queue_name) return 'taken:' .. queue_name end
local function queue_taken_count_field(queue_name) return 'taken_count:' .. queue_name end
local function queue_rows_field(queue_name) return 'rows:' .. queue_name end

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

-- The row that a call names; false if it is not the caller's, or not any more; nil and the problem if it is damaged.
local function row_of(in_flight_key, rows, key, token)
  local problem = rows_problem(in_flight_key, rows)
  if problem then return nil, problem end
  local text = redis.call('HGET', in_flight_key, key)
  if not text then return false end
  local row = read_flight(text)
  if not row then return nil, in_flight_key .. ': row ' .. key end
  return row.token == token and row
end

-- What becomes of a row of which the caller knows `named` (how many for a range, a set of them for ids) and leaves
-- `stay`: the ids that are left, how many leave the row, and how many of those the caller does not know: they have
-- vanished from the stream. Only ever what the row still has: a call that is repeated, or comes late, brings nothing
-- back. nil if the caller knows more than there is.
local function left_of(row, key, named, named_set, stay)
  local new, vanished = {}, 0
  if row.ids == '' then
    if named > row.count then return nil end
    vanished = row.count - named
    for _, id in ipairs(stay) do
      if is_before(key, id) and not is_before(row.last, id) then new[#new + 1] = id end
    end
    table.sort(new, is_before)
  else
    local stays = set_of(stay)
    for _, id in ipairs(ids_of(row.ids)) do
      if stays[id] then new[#new + 1] = id elseif not named_set[id] then vanished = vanished + 1 end
    end
  end
  return new, row.count - #new, vanished
end

-- Writes what is left of a row; answers by how much the number of rows changes.
local function write_left(in_flight_key, key, row, new)
  if #new == 0 then return -redis.call('HDEL', in_flight_key, key) end
  if #new < row.count then
    row.ids, row.count, row.last = table.concat(new, ' '), #new, new[#new]
    redis.call('HSET', in_flight_key, key, write_flight(row))
  end
  return 0
end

-- Every row, the oldest first; nil and the problem if one is damaged.
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
