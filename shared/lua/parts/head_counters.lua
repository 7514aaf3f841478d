
-- Reads counters of the head; nil if the head or one of them is not what it must be.
local function read_counters(head_key, names)
  local values = redis.pcall('HMGET', head_key, unpack(names))
  if values.err then return nil end
  local counters = {}
  for i, name in ipairs(names) do
    counters[name] = integer(values[i])
    if not counters[name] then return nil end
  end
  return counters
end

local function write_counters(head_key, counters)
  local list = {}
  for name, value in pairs(counters) do
    list[#list + 1] = name
    list[#list + 1] = digits(value)
  end
  redis.call('HSET', head_key, unpack(list))
end
