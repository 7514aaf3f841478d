#!lua
-- dead_discard: gives dead jobs up for good. Nothing was decided for them, so an id may be sent again.
--
-- KEYS     head parked dead
-- ARGV     nonce, then for each job: id
-- returns  nonce, status, and for status
--            done                for each id one of
--              discarded
--              absent            not in dead
--            uninitialised, partition_frozen, corrupt_partition: what was found; nothing was written
-- repeat   absent for what the first call discarded.
--
-- Only who takes the id out of dead counts it, so two operators discard it once. Types and rights are checked
-- before the first write.
local head_key, parked_key, dead_key = unpack(KEYS)
local nonce = ARGV[1]
local ids = { unpack(ARGV, 2) }

local counters, status, detail = read_counters(head_key, { 'discarded' })
if not counters then return { nonce, status, detail } end
local problem = wrong_type('ZCARD', dead_key) or wrong_type('HLEN', parked_key)
if problem then return { nonce, 'corrupt_partition', problem } end
local lacked = lacks_right('ZREM', dead_key, 'x') or lacks_right('HDEL', parked_key, 'x')
  or lacks_right('HSET', head_key, 'discarded', '0')
if lacked then return lacked end

local results = {}
for i, id in ipairs(ids) do
  results[i] = 'absent'
  local row = read_parked(redis.call('HGET', parked_key, id))
  if redis.call('ZREM', dead_key, id) == 1 then
    change_head_number(head_key, dead_field(row), -1)
    redis.call('HDEL', parked_key, id)
    counters.discarded = counters.discarded + 1
    results[i] = 'discarded'
  end
end
write_counters(head_key, counters)
return { nonce, 'done', unpack(results) }
