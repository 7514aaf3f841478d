#!lua
-- init_head: creates the head of one partition, or changes its retention.
--
-- KEYS     head journal resources parked kept
-- ARGV     nonce partition partitions retention_ms identity
-- returns  nonce, status, and for status
--            created
--            changed             the head was there
--            other_parameters    it is of another partition number or count, another identity or another format: which
--            corrupt_state       there is history without a head
-- repeat   changed, with the same values.
--
-- After a loss of data nothing may start issuing from zero: a partition that has a journal, receipts, resources
-- or parked jobs but no head is damage. Streams alone are not: someone enqueued before init.
local head_key = KEYS[1]
local nonce, partition, partitions, retention_ms, identity = unpack(ARGV)

local now_ms = server_ms()

if redis.call('EXISTS', head_key) == 1 then
  local head = redis.pcall('HMGET', head_key, 'format', 'partition', 'partitions', 'identity')
  if head.err then return { nonce, 'corrupt_state' } end
  local wanted = { FORMAT, partition, partitions, identity }
  for i, name in ipairs({ 'format', 'partition', 'partitions', 'identity' }) do
    if head[i] ~= wanted[i] then
      return { nonce, 'other_parameters', name .. ' ' .. tostring(head[i]) .. ', not ' .. wanted[i] }
    end
  end
  redis.call('HSET', head_key, 'retention_ms', retention_ms)
  return { nonce, 'changed' }
end
if redis.call('EXISTS', unpack(KEYS, 2)) > 0 then return { nonce, 'corrupt_state' } end
local floor = math.max(0, math.floor((now_ms - tonumber(retention_ms)) / 3600000))
-- A value of more than 64 bytes makes Redis keep the head as a table, in which a field is found at once. As a list it
-- would be walked through for each field that a call reads or writes: 2,000 instructions more for each job of a batch.
local ABOUT = 'the head of one partition of Tollgate; its ARCHITECTURE.md says what belongs to it'
redis.call('HSET', head_key, 'about', ABOUT, 'format', FORMAT, 'receipts_floor', digits(floor), 'floor_highest', digits(floor),
  'seq', '0', 'hash', '', 'frozen', '0', 'acked', '0', 'replayed', '0', 'mismatched', '0', 'expired', '0',
  'overtaken', '0', 'to_scheduled', '0', 'to_dead', '0', 'requeued', '0', 'discarded', '0',
  'identity', identity, 'partition', partition, 'partitions', partitions, 'retention_ms', retention_ms,
  'dropped_hour_highest', digits(math.max(0, floor - 1)), 'floor_credit_ms', digits(now_ms), 'floor_step_ms', '0')
return { nonce, 'created' }
