
-- Reads counters of the head. Answers nil, a status and its detail if the partition has no head, is frozen,
-- or if one of them is no number that can still be counted on. `also` is one field more, which is answered last as it is.
-- gives   read_counters write_counters
local function read_counters(head_key, names, also)
  local values = redis.pcall('HMGET', head_key, 'format', 'frozen', also or 'format', unpack(names))
  if values.err then return nil, 'corrupt_partition', 'head: ' .. values.err end
  local status, detail = head_problem(head_key, values[1])
  if status then return nil, status, detail end
  if values[2] ~= '0' then return nil, 'partition_frozen', tostring(values[2]) end
  local counters = {}
  for i, name in ipairs(names) do
    -- A queue's own counter begins with its first acknowledgement.
    local number = integer(values[i + 3] or (string.find(name, ':', 1, true) and '0'))
    if not number or number > COUNTER_MAX then return nil, 'corrupt_partition', 'head: ' .. name end
    counters[name] = number
  end
  return counters, nil, nil, values[3]
end

local function write_counters(head_key, counters)
  local list = {}
  for name, value in pairs(counters) do
    list[#list + 1] = name
    list[#list + 1] = digits(value)
  end
  redis.call('HSET', head_key, unpack(list))
end
