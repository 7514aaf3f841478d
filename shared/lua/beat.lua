#!lua
-- beat: a worker says that it lives and what it runs, at server time.
--
-- KEYS     workers
-- ARGV     nonce consumer description
-- returns  nonce, at_ms
-- repeat   beats again.
local workers_key = KEYS[1]
local nonce, consumer, description = unpack(ARGV)
local time = redis.call('TIME')
local now_ms = digits(time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('HSET', workers_key, consumer, now_ms .. '\t' .. description)
return { nonce, now_ms }
