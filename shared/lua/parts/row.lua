
-- The row that a call names; false if it is not the caller's, or not any more; nil and the problem if it is damaged.
-- gives   row_of left_of write_left
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
