#!lua
-- receipts_drop: raises the receipts floor as far as the rule and the declared buckets allow, and unlinks what
-- is below.
--
-- KEYS     head queues registered, then the stream of every queue, then the buckets of the hours from the floor on
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
-- rises. So waiting alone never expires a job, and no clock that jumps back brings an old id to life. An unsettled
-- entry whose id is ahead of the clock has no known time: while there is one, the floor stays where it is.
-- The floor is written before a bucket goes: cut off in between, a bucket would be left over, never missed.
local head_key, queues_key, registered_key = KEYS[1], KEYS[2], KEYS[3]
local nonce, floor_hour, bucket_count = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local names = { unpack(ARGV, 4) }
local HOUR_MS = 3600000

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local oldest_ms = now_ms

local head, status, detail = read_counters(head_key, { 'receipts_floor', 'retention_ms' })
if not head then return { nonce, status, detail } end
local streams, problem, what = queue_streams(queues_key, registered_key, names, 4)
if not streams then return { nonce, problem, what } end
if head.receipts_floor ~= floor_hour then return { nonce, 'moved', digits(head.receipts_floor) } end

local is_dated = true
for name, key in pairs(streams) do
  local length = redis.pcall('XLEN', key)
  if type(length) ~= 'number' then return { nonce, 'corrupt_partition', key .. ': ' .. length.err } end
  local is_there = redis.call('EXISTS', key) == 1
  local group = is_there and group_of(key)
  -- What was lost may still be repaired, and its ids be needed.
  if not group and redis.call('HEXISTS', queues_key, name) == 1 then
    return { nonce, 'corrupt_partition', key .. ': no stream or no group' }
  end
  if is_there then
    local oldest = unsettled(key, group)
    if oldest then
      is_dated = is_dated and entry_ms(oldest) <= now_ms
      oldest_ms = math.min(oldest_ms, entry_ms(oldest))
    end
  end
end

local allowed = is_dated and math.max(floor_hour, math.floor((oldest_ms - head.retention_ms) / HOUR_MS)) or floor_hour
local reached = math.min(allowed, floor_hour + bucket_count)
local first_bucket = 4 + #names
local unlinked = 0
if reached > floor_hour then
  redis.call('HSET', head_key, 'receipts_floor', digits(reached))
  for i = 0, reached - floor_hour - 1 do
    unlinked = unlinked + redis.call('UNLINK', KEYS[first_bucket + i])
  end
end
return { nonce, 'dropped', digits(reached), digits(allowed), unlinked }
