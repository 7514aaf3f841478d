#!lua
-- receipts_drop: raises the receipts floor as far as the rule and the declared buckets allow, and unlinks what
-- is below.
--
-- KEYS     head queues, then the stream of every queue, then the buckets of the hours from the floor on
-- ARGV     nonce floor_hour bucket_count, then the name of every queue; floor_hour is the floor that the
--          caller read and for which it declared the buckets
-- returns  nonce, status, and for status
--            dropped             the floor now, the floor the rule allows (call again while they differ), how
--                                many buckets were unlinked
--            moved               the floor is another than floor_hour: the floor now; read again
--            stale_keys
--            uninitialised, partition_frozen, corrupt_partition: what was found; nothing was written
-- repeat   moved, or dropped with nothing to do.
--
-- The rule: at most min(server time, enqueue time of the oldest unsettled entry) - retention, and it only
-- rises. So waiting alone never expires a job, and no clock that jumps back brings an old id to life.
-- The floor is written before a bucket goes: cut off in between, a bucket would be left over, never missed.
local head_key, queues_key = KEYS[1], KEYS[2]
local nonce, floor_hour, bucket_count = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local names = { unpack(ARGV, 4) }
local GROUP = 'workers'
local HOUR_MS = 3600000

local time = redis.call('TIME')
local oldest_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local head, status, detail = read_counters(head_key, { 'receipts_floor', 'retention_ms' })
if not head then return { nonce, status, detail } end
local streams, problem, what = queue_streams(queues_key, names, 3)
if not streams then return { nonce, problem, what } end
if head.receipts_floor ~= floor_hour then return { nonce, 'moved', digits(head.receipts_floor) } end

local function entry_ms(entry)
  return tonumber(string.match(entry, '^%d+'))
end
for _, key in pairs(streams) do
  local pending = redis.pcall('XPENDING', key, GROUP, '-', '+', 1)
  if pending.err then return { nonce, 'corrupt_partition', key .. ': ' .. pending.err } end
  if pending[1] then oldest_ms = math.min(oldest_ms, entry_ms(pending[1][1])) end
  for _, reply in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local group = {}
    for i = 1, #reply, 2 do group[reply[i]] = reply[i + 1] end
    if group.name == GROUP then
      local waiting = redis.call('XRANGE', key, '(' .. group['last-delivered-id'], '+', 'COUNT', 1)[1]
      if waiting then oldest_ms = math.min(oldest_ms, entry_ms(waiting[1])) end
    end
  end
end

local allowed = math.max(floor_hour, math.floor((oldest_ms - head.retention_ms) / HOUR_MS))
local reached = math.min(allowed, floor_hour + bucket_count)
local first_bucket = 3 + #names
local unlinked = 0
if reached > floor_hour then
  redis.call('HSET', head_key, 'receipts_floor', digits(reached))
  for i = 0, reached - floor_hour - 1 do
    unlinked = unlinked + redis.call('UNLINK', KEYS[first_bucket + i])
  end
end
return { nonce, 'dropped', digits(reached), digits(allowed), unlinked }
