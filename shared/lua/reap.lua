#!lua
-- reap: removes a consumer that is gone and holds nothing, from every group and from the list of workers.
--
-- KEYS     queues registered workers, then the stream of every queue
-- ARGV     nonce consumer silent_ms_min, then the name of every queue; silent_ms_min 0 removes a consumer
--          that says so of itself
-- returns  nonce, status: reaped, alive (it beat since), holding (entries are pending under it), stale_keys,
--          corrupt_partition and what was found
-- repeat   reaped.
--
-- Check and delete in one script: deleting a consumer discards what is pending under it. Cut off midway, a
-- consumer that holds nothing is left in some groups, and the next call removes it.
local queues_key, registered_key, workers_key = KEYS[1], KEYS[2], KEYS[3]
local nonce, consumer, silent_ms_min = ARGV[1], ARGV[2], tonumber(ARGV[3])
local names = { unpack(ARGV, 4) }

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local streams, problem, what = queue_streams(queues_key, registered_key, names, 4)
if not streams then return { nonce, problem, what } end
problem = wrong_type('HLEN', workers_key)
if problem then return { nonce, 'corrupt_partition', problem } end
local beat = redis.call('HGET', workers_key, consumer)
local beat_at_ms = beat and integer(string.match(beat, '^%d+'))
-- A beat from far ahead of the clock was made before the clock went back: whoever lives has beaten since.
if silent_ms_min > 0 and beat_at_ms and math.abs(now_ms - beat_at_ms) < silent_ms_min then return { nonce, 'alive' } end
for _, key in pairs(streams) do
  local held = redis.pcall('XPENDING', key, GROUP, '-', '+', 1, consumer)
  if not held.err and #held > 0 then return { nonce, 'holding' } end
  -- Without a group, or as a key of another type, a queue is lost, and nobody holds anything of it.
  local is_lost = held.err and (string.find(held.err, 'NOGROUP', 1, true) or string.find(held.err, 'WRONGTYPE', 1, true))
  if held.err and not is_lost then return { nonce, 'corrupt_partition', held.err } end
end

for _, key in pairs(streams) do
  if type(redis.pcall('XLEN', key)) == 'number' and redis.call('EXISTS', key) == 1 and group_of(key) then
    redis.call('XGROUP', 'DELCONSUMER', key, GROUP, consumer)
  end
end
redis.call('HDEL', workers_key, consumer)
return { nonce, 'reaped' }
