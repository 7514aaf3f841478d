#!lua
-- dead_retry: puts dead jobs back into their streams, undecided as they are.
--
-- KEYS     head queues registered parked dead, then for each queue: queue in_flight
-- ARGV     nonce queue_count, then for each queue, in the order of KEYS: name, then for each job: id
-- returns  nonce, status, and for status
--            done                for each id one of
--              requeued
--              absent            not in dead
--              corrupt_state     its row is damaged, or its queue is gone
--              not_kept          there are no bytes to put back
--            stale_keys          a queue was added: read the list again
--            uninitialised, partition_frozen, corrupt_partition: what was found; nothing was written
-- repeat   absent for what the first call put back.
local head_key, queues_key, registered_key, parked_key, dead_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local nonce, queue_count = ARGV[1], tonumber(ARGV[2])
local names = { unpack(ARGV, 3, 2 + queue_count) }
local ids = { unpack(ARGV, 3 + queue_count) }

local counters, status, detail = read_counters(head_key, { 'requeued' })
if not counters then return { nonce, status, detail } end
local streams, problem, what = queue_streams(queues_key, registered_key, names, 6)
if not streams then return { nonce, problem, what } end
problem = wrong_type('ZCARD', dead_key) or wrong_type('HLEN', parked_key)
if problem then return { nonce, 'corrupt_partition', problem } end
local lacked = lacks_right_to_add(streams) or lacks_right('ZREM', dead_key, 'x')
  or lacks_right('HSET', parked_key, 'x', 'x') or lacks_right('HDEL', parked_key, 'x')
  or lacks_right('HSET', head_key, 'requeued', '0')
if lacked then return lacked end

local results = {}
for i, id in ipairs(ids) do
  local row = read_parked(redis.call('HGET', parked_key, id))
  results[i] = requeue(dead_key, parked_key, streams, id)
  if results[i] == 'requeued' then
    counters.requeued = counters.requeued + 1
    change_head_number(head_key, dead_field(row), -1)
  end
end
write_counters(head_key, counters)
return { nonce, 'done', unpack(results) }
