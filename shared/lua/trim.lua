#!lua
-- trim: removes settled entries from one queue's stream. Where one slow row keeps too many of them, those between the
-- rows are deleted singly.
--
-- KEYS     head queue in_flight
-- ARGV     nonce name kept_max count; kept_max is how many settled entries may be kept, count how many are deleted singly in one call
-- returns  nonce, status, and for status
--            trimmed             how many entries were removed, 1 if there are more to delete (call again), else 0
--            uninitialised, partition_frozen, corrupt_partition: what was found; nothing was written
-- repeat   trimmed, of what is left.
--
-- Where it ends is read here: a caller's view would be old, and a trim above an entry that was taken since loses it.
local head_key, queue_key, in_flight_key = unpack(KEYS)
local nonce, name, kept_max, count = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local counters, status, detail = read_counters(head_key,
  { queue_field('acked', name), queue_field('taken_count', name), queue_field('rows', name) })
if not counters then return { nonce, status, detail } end
local taken = redis.call('HGET', head_key, queue_field('taken', name)) or '0-0'
local rows, problem = rows_of(in_flight_key, counters[queue_field('rows', name)])
if not rows then return { nonce, 'corrupt_partition', problem } end
local length = redis.pcall('XLEN', queue_key)
if type(length) ~= 'number' then return { nonce, 'corrupt_partition', queue_key .. ': ' .. length.err } end
if length == 0 then return { nonce, 'trimmed', 0, 0 } end
local lacked = lacks_right('XTRIM', queue_key, 'MINID', '0') or lacks_right('XDEL', queue_key, '0-0')
if lacked then return lacked end

local removed = redis.call('XTRIM', queue_key, 'MINID', '~', rows[1] and rows[1].key or taken)
local unsettled_count = named(redis.call('XINFO', 'STREAM', queue_key))['entries-added'] - counters[queue_field('acked', name)]
local excess = length - removed - unsettled_count - kept_max
-- XTRIM by whole nodes ends after some thousand entries.
local TRIMMED_MUCH = 1000
if excess <= 0 then return { nonce, 'trimmed', removed, removed >= TRIMMED_MUCH and 1 or 0 } end

-- The gaps: from the end of one row to the begin of the next, and within a row between the ids that are left.
local left = math.min(excess, count)
local function delete(from, to)
  while left > 0 do
    local ids = {}
    for _, entry in ipairs(redis.call('XRANGE', queue_key, behind(from), to, 'COUNT', math.min(left, 1000))) do
      ids[#ids + 1] = entry[1]
    end
    if #ids == 0 then return end
    local deleted = redis.call('XDEL', queue_key, unpack(ids))
    removed, left, from = removed + deleted, left - deleted, ids[#ids]
  end
end
local from = '0-0'
for _, row in ipairs(rows) do
  delete(from, row.key)
  from = row.key
  if row.ids == '' then
    from = row.last
  else
    for _, id in ipairs(ids_of(row.ids)) do
      delete(from, '(' .. id)
      from = id
    end
  end
end
delete(from, taken)
return { nonce, 'trimmed', removed, left == 0 and 1 or 0 }
