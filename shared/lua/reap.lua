#!lua
-- reap: removes a consumer that is gone and holds nothing, from every group and from the list of workers.
--
-- KEYS     queues workers, then the stream of every queue
-- ARGV     nonce consumer silent_ms_min, then the name of every queue; silent_ms_min 0 removes a consumer
--          that says so of itself
-- returns  nonce, status: reaped, alive (it beat since), holding (entries are pending under it), stale_keys,
--          corrupt_partition and what was found
-- repeat   reaped.
--
-- Check and delete in one script: deleting a consumer discards what is pending under it. Cut off midway, a
-- consumer that holds nothing is left in some groups, and the next call removes it.
local queues_key, workers_key = KEYS[1], KEYS[2]
local nonce, consumer, silent_ms_min = ARGV[1], ARGV[2], tonumber(ARGV[3])
local names = { unpack(ARGV, 4) }
local GROUP = 'workers'

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local streams, problem, what = queue_streams(queues_key, names, 3)
if not streams then return { nonce, problem, what } end
problem = wrong_type('HLEN', workers_key)
if problem then return { nonce, 'corrupt_partition', problem } end
local beat = redis.call('HGET', workers_key, consumer)
local beat_at_ms = beat and integer(string.match(beat, '^%d+'))
if silent_ms_min > 0 and beat_at_ms and now_ms - beat_at_ms < silent_ms_min then return { nonce, 'alive' } end
for _, key in pairs(streams) do
  local held = redis.pcall('XPENDING', key, GROUP, '-', '+', 1, consumer)
  if not held.err and #held > 0 then return { nonce, 'holding' } end
  if held.err and not string.find(held.err, 'NOGROUP', 1, true) then return { nonce, 'corrupt_partition', held.err } end
end

for _, key in pairs(streams) do
  if redis.call('EXISTS', key) == 1 then
    for _, group in ipairs(redis.call('XINFO', 'GROUPS', key)) do
      if group[2] == GROUP then redis.call('XGROUP', 'DELCONSUMER', key, GROUP, consumer) end
    end
  end
end
redis.call('HDEL', workers_key, consumer)
return { nonce, 'reaped' }
