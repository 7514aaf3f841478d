#!lua
-- receipts_drop: raises the receipts floor as far as the rule and the declared buckets allow, and unlinks what
-- is below.
--
-- KEYS     head queues registered, then for each queue: queue in_flight, then for each hour from the floor on: bucket
-- ARGV     nonce floor_hour bucket_count pace, then for each queue, in the order of KEYS: name; floor_hour is the floor that the
--          caller read and for which it declared the buckets; pace is paced, or by_hand
-- returns  nonce, status, and for status
--            dropped             the floor now, the floor the rule and the pace allow (call again while they
--                                differ), the floor the rule alone allows, how many buckets were unlinked
--            moved               the floor is another than floor_hour: the floor now; read again
--            stale_keys
--            uninitialised, partition_frozen, corrupt_partition: what was found; nothing was written
-- repeat   moved, or dropped with nothing to do.
--
-- The rule: at most min(server time, enqueue time of the oldest unsettled entry) - retention. So waiting alone
-- never expires a job, and no clock that jumps back brings an old id to life. An unsettled entry whose id is ahead
-- of the clock has no known time: while there is one, the floor stays where it is.
-- The pace: a clock that is wrong for a while must not raise the floor far. Paced, it rises by one hour for each
-- hour that went by since it was last raised, an hour in a minute at most; the caller has seen this clock run
-- like its own for a minute. What did not rise while nobody asked is caught up with.
-- The floor is written before a bucket goes: cut off in between, a bucket would be left over, never missed.
-- With bucket_count 0 nothing is written: what would happen.
local head_key, queues_key, registered_key = KEYS[1], KEYS[2], KEYS[3]
local nonce, floor_hour, bucket_count, pace = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local names = { unpack(ARGV, 5) }
local HOUR_MS, MINUTE_MS = 3600000, 60000

local now_ms = server_ms()
local oldest_ms = now_ms

local head, status, detail = read_counters(head_key, { 'receipts_floor', 'floor_highest', 'dropped_hour_highest',
  'floor_credit_ms', 'floor_step_ms', 'retention_ms' })
if not head then return { nonce, status, detail } end
local streams, in_flight, what = queue_streams(queues_key, registered_key, names, 4)
if not streams then return { nonce, in_flight, what } end
if head.receipts_floor ~= floor_hour then return { nonce, 'moved', digits(head.receipts_floor) } end

local is_dated = true
for name, key in pairs(streams) do
  local length = redis.pcall('XLEN', key)
  if type(length) ~= 'number' then return { nonce, 'corrupt_partition', key .. ': ' .. length.err } end
  local is_there = redis.call('EXISTS', key) == 1
  -- What was lost may still be repaired, and its ids be needed.
  if not is_there and redis.call('HEXISTS', queues_key, name) == 1 then
    return { nonce, 'corrupt_partition', key .. ': no stream' }
  end
  local rows, problem = rows_of(in_flight[name], integer(redis.call('HGET', head_key, queue_field('rows', name)) or '0'))
  if not rows then return { nonce, 'corrupt_partition', problem } end
  if is_there then
    local oldest = unsettled(key, rows, redis.call('HGET', head_key, queue_field('taken', name)))
    if oldest then
      is_dated = is_dated and entry_ms(oldest) <= now_ms
      oldest_ms = math.min(oldest_ms, entry_ms(oldest))
    end
  end
end

local by_rule = is_dated and math.max(floor_hour, math.floor((oldest_ms - head.retention_ms) / HOUR_MS)) or floor_hour
local allowed = by_rule
if pace == 'paced' then
  local credit = math.max(0, math.floor((now_ms - head.floor_credit_ms) / HOUR_MS))
  if math.abs(now_ms - head.floor_step_ms) < MINUTE_MS then credit = 0 end
  allowed = math.min(by_rule, floor_hour + math.min(credit, 1))
end
local reached = math.min(allowed, floor_hour + bucket_count)
local first_bucket = 4 + 2 * #names
local unlinked = 0
if reached > floor_hour then
  head.receipts_floor, head.floor_highest = reached, math.max(head.floor_highest, reached)
  head.floor_step_ms = now_ms
  head.floor_credit_ms = pace == 'paced' and head.floor_credit_ms + (reached - floor_hour) * HOUR_MS or now_ms
  for i = 0, reached - floor_hour - 1 do
    if redis.call('EXISTS', KEYS[first_bucket + i]) == 1 then
      unlinked = unlinked + 1
      head.dropped_hour_highest = math.max(head.dropped_hour_highest, floor_hour + i)
    end
  end
  local lacked = lacks_right('HSET', head_key, 'x', 'x') or lacks_right('UNLINK', KEYS[first_bucket])
  if lacked then return lacked end
  write_counters(head_key, head)
  for i = 0, reached - floor_hour - 1 do redis.call('UNLINK', KEYS[first_bucket + i]) end
end
return { nonce, 'dropped', digits(reached), digits(allowed), digits(by_rule), unlinked }
