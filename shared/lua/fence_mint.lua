#!lua
-- fence_mint: a fencing token for one guarded value, larger than all before it.
--
-- KEYS     guarded
-- ARGV     nonce step; step is random, 1 to 65536
-- returns  nonce, status, and for status
--            minted     the token
--            corrupt_state
-- repeat   mints again: the first token is older then, and its writes are refused.
--
-- The token lives with the value it guards, so what loses one loses both. Server time carries it past a loss
-- of the key; the previous token carries it past a clock that went back: by a random step, so that a mint that was lost
-- after that is not minted a second time. It is never deleted.
local guarded_key = KEYS[1]
local nonce, step = ARGV[1], integer(ARGV[2])
local previous = redis.pcall('HGET', guarded_key, 'fence')
if type(previous) == 'table' then return { nonce, 'corrupt_state' } end
previous = integer(previous or '0')
local now_us = server_us()
-- The step only where the clock is behind: at every mint it would carry the tokens ahead of the clock.
local fence = previous and step and (now_us > previous and now_us or previous + step)
if not fence or fence > NUMBER_MAX then return { nonce, 'corrupt_state' } end
redis.call('HSET', guarded_key, 'fence', digits(fence))
return { nonce, 'minted', digits(fence) }
