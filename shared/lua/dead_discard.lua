#!lua
-- dead_discard: gives dead jobs up for good. Nothing was decided for them, so an id may be sent again.
--
-- KEYS     head parked dead
-- ARGV     nonce, then the ids
-- returns  nonce, status, and for status
--            done                for each id: discarded or absent (not in dead)
--            corrupt_partition   nothing was written
-- repeat   absent for what the first call discarded.
local head_key, parked_key, dead_key = unpack(KEYS)
local nonce = ARGV[1]
local ids = { unpack(ARGV, 2) }

local counters = read_counters(head_key, { 'discarded' })
if not counters or type(redis.pcall('ZCARD', dead_key)) ~= 'number'
    or type(redis.pcall('HLEN', parked_key)) ~= 'number' then
  return { nonce, 'corrupt_partition' }
end

local results = {}
for i, id in ipairs(ids) do
  results[i] = 'absent'
  if redis.call('ZREM', dead_key, id) == 1 then
    redis.call('HDEL', parked_key, id)
    counters.discarded = counters.discarded + 1
    results[i] = 'discarded'
  end
end
write_counters(head_key, counters)
return { nonce, 'done', unpack(results) }
