
-- The group of a queue's stream, by which all workers read.
-- gives   GROUP named group_of
local GROUP = 'cursor'

-- XINFO answers a flat list of names and values, as HGETALL does.
local function named(reply)
  local fields = {}
  for i = 1, #reply, 2 do fields[reply[i]] = reply[i + 1] end
  return fields
end

-- The group of a stream; nil if there is none, or no stream.
local function group_of(key)
  for _, reply in ipairs(redis.pcall('XINFO', 'GROUPS', key)) do
    local group = named(reply)
    if group.name == GROUP then return group end
  end
end
