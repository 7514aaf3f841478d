#!lua
-- receipts_lower: lowers the receipts floor of one partition again, after a clock was wrong.
--
-- KEYS     head
-- ARGV     nonce
-- returns  nonce, status, and for status
--            lowered             the floor before, the floor now
--            uninitialised, partition_frozen, corrupt_partition: what was found; nothing was written
-- repeat   lowered, with the same floor before and now.
--
-- Just above the highest hour of which a bucket was ever dropped: no id at or above it has lost its receipt, so
-- none can execute twice. floor_highest stays: what executed below it has its receipt in kept.
local head_key = KEYS[1]
local nonce = ARGV[1]
local HOUR_MS = 3600000

local now_ms = server_ms()

local head, status, detail = read_counters(head_key, { 'receipts_floor', 'dropped_hour_highest' })
if not head then return { nonce, status, detail } end
local before = head.receipts_floor
local floor = math.min(before, head.dropped_hour_highest + 1)
if floor < before then
  -- What it rises by from here on was not due before.
  redis.call('HSET', head_key, 'receipts_floor', digits(floor),
    'floor_credit_ms', digits(math.max(0, now_ms - (before - floor) * HOUR_MS)))
end
return { nonce, 'lowered', digits(before), digits(floor) }
