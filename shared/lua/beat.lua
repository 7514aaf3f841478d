#!lua
-- beat: a worker says that it lives and what it runs, at server time.
--
-- KEYS     workers head
-- ARGV     nonce consumer description
-- returns  nonce, at_ms
-- repeat   beats again.
--
-- Where there is no head nothing is written: a Redis that was emptied stays empty, so that `init` finds it so.
local workers_key, head_key = unpack(KEYS)
local nonce, consumer, description = unpack(ARGV)
local time = redis.call('TIME')
local now_ms = digits(time[1] * 1000 + math.floor(time[2] / 1000))
if redis.call('EXISTS', head_key) == 1 then
  redis.call('HSET', workers_key, consumer, now_ms .. '\t' .. description)
end
return { nonce, now_ms }
