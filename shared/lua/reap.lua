#!lua
-- reap: removes a worker that is gone from the list of workers.
--
-- KEYS     workers
-- ARGV     nonce worker silent_ms_min; silent_ms_min 0 removes a worker that says so of itself
-- returns  nonce, status, and for status
--            reaped
--            alive               it beat since
--            corrupt_partition   what was found
-- repeat   reaped.
--
-- Nothing rests on the list: rows in flight name their workers themselves.
local workers_key = KEYS[1]
local nonce, worker, silent_ms_min = ARGV[1], ARGV[2], tonumber(ARGV[3])

local now_ms = server_ms()

local problem = wrong_type('HLEN', workers_key)
if problem then return { nonce, 'corrupt_partition', problem } end
local beat = redis.call('HGET', workers_key, worker)
local beat_at_ms = beat and integer(string.match(beat, '^%d+'))
-- A beat from far ahead of the clock was made before the clock went back: whoever lives has beaten since.
if silent_ms_min > 0 and beat_at_ms and math.abs(now_ms - beat_at_ms) < silent_ms_min then return { nonce, 'alive' } end
redis.call('HDEL', workers_key, worker)
return { nonce, 'reaped' }
