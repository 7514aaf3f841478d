
-- Entries of a queue's stream. An entry's id begins with the server's time at XADD, unless the clock went back since
-- or the sender chose the id: then it is ahead of the clock and is no time at all.
-- gives   LAST_ENTRY behind entry_ms unsettled
local LAST_ENTRY = '18446744073709551615-18446744073709551615'   -- nothing can be added or asked for behind it

-- The start of a range that begins behind an entry; nil where nothing can be.
local function behind(entry)
  if entry ~= LAST_ENTRY then return '(' .. entry end
end

-- The time in an entry's id. Beyond 2^53 it is not exact, but then it is far ahead of any clock.
local function entry_ms(entry)
  return tonumber(string.match(entry, '^%d+'))
end

-- The oldest entry that is not settled, and the first that waits; nil where there is none. `rows` are those in flight,
-- the oldest first; `taken` is the last entry that was taken, or nil where none ever was.
local function unsettled(key, rows, taken)
  local from = behind(taken or '0-0')
  local waiting = from and redis.call('XRANGE', key, from, '+', 'COUNT', 1)[1]
  waiting = waiting and waiting[1]
  local oldest, row = waiting, rows[1]
  if row then
    local held = string.match(row.ids, '^%S+')
    if not held then
      local first = redis.call('XRANGE', key, behind(row.key), row.last, 'COUNT', 1)[1]
      held = first and first[1] or row.last
    end
    if not waiting or entry_ms(held) <= entry_ms(waiting) then oldest = held end
  end
  return oldest, waiting
end
