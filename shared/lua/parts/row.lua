
-- The row that a call names; false if it is not the caller's, or not any more; nil and the problem if it is damaged.
-- gives   row_of unknown_of left_of write_left
local function row_of(in_flight_key, rows, key, token)
  local problem = rows_problem(in_flight_key, rows)
  if problem then return nil, problem end
  local text = redis.call('HGET', in_flight_key, key)
  if not text then return false end
  local row = read_flight(text)
  if not row then return nil, in_flight_key .. ': row ' .. key end
  return row.token == token and row
end

-- What of a row is in the stream, and its caller does not name; nil if the caller knows more than there is. `named_set`
-- is what it names, of a row that is a range only needed where `named`, how many they are, is less than the row counts.
-- Redis may have lost its latest writes: what a worker saw leave its row is back in it then, undecided. It stays, and is
-- read again as what a worker has and was not heard of (recover).
local function unknown_of(queue_key, row, key, named, named_set)
  local unknown = {}
  if row.ids ~= '' then
    for _, id in ipairs(ids_of(row.ids)) do
      if not named_set[id] and redis.call('XRANGE', queue_key, id, id)[1] then unknown[#unknown + 1] = id end
    end
  elseif named < row.count then
    for _, entry in ipairs(redis.call('XRANGE', queue_key, '(' .. key, row.last, 'COUNT', row.count)) do
      if not named_set[entry[1]] then unknown[#unknown + 1] = entry[1] end
    end
  end
  if row.ids == '' and named + #unknown > row.count then return nil end
  return unknown
end

-- What becomes of a row of which `named` entries are known (how many for a range, a set of them for ids) and `stay` is
-- left: the ids that are left, how many leave the row, and how many of those are not known: they have vanished from the
-- stream. Only ever what the row still has: a call that is repeated, or comes late, brings nothing back.
local function left_of(row, key, named, named_set, stay)
  local new, vanished = {}, 0
  if row.ids == '' then
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
