
-- Entries of a queue's stream. An entry's id begins with the server's time at XADD, unless the clock went back since
-- or the sender chose the id: then it is ahead of the clock and is no time at all.
local GROUP = 'workers'
local LAST_ENTRY = '18446744073709551615-18446744073709551615'   -- nothing can be added or asked for behind it

-- The start of a range that begins behind an entry; nil where nothing can be.
local function behind(entry)
  if entry ~= LAST_ENTRY then return '(' .. entry end
end

-- The time in an entry's id. Beyond 2^53 it is not exact, but then it is far ahead of any clock.
local function entry_ms(entry)
  return tonumber(string.match(entry, '^%d+'))
end

-- XINFO answers a flat list of names and values.
local function named(reply)
  local fields = {}
  for i = 1, #reply, 2 do fields[reply[i]] = reply[i + 1] end
  return fields
end

-- The group of a stream that exists; nil if there is none.
local function group_of(key)
  for _, reply in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local group = named(reply)
    if group.name == GROUP then return group end
  end
end

-- The oldest entry that is not settled, and the first that was never fetched; nil where there is none. Without a
-- group, whatever is in the stream.
local function unsettled(key, group)
  local pending = group and redis.call('XPENDING', key, GROUP, '-', '+', 1)[1]
  local from = '-'
  if group then from = behind(group['last-delivered-id']) end
  local unfetched = from and redis.call('XRANGE', key, from, '+', 'COUNT', 1)[1]
  pending, unfetched = pending and pending[1], unfetched and unfetched[1]
  local oldest = pending or unfetched
  if pending and unfetched and entry_ms(unfetched) < entry_ms(pending) then oldest = unfetched end
  return oldest, unfetched
end
