#!lua
-- fence_write: writes a guarded value, if the token is the last one minted for it.
--
-- KEYS     guarded
-- ARGV     nonce fence value
-- returns  nonce, status, and for status
--            written
--            fenced     a newer token was minted
--            unminted   the token is newer than any this server knows: its mint was lost in a failover or a
--                       restore, and what was read under it may have been lost too
--            corrupt_state
-- repeat   written, with the same value; or fenced by who minted in between.
local guarded_key = KEYS[1]
local nonce, fence, value = ARGV[1], integer(ARGV[2]), ARGV[3]
local current = redis.pcall('HGET', guarded_key, 'fence')
if type(current) == 'table' then return { nonce, 'corrupt_state' } end
current = integer(current or '0')
if not fence or not current then return { nonce, 'corrupt_state' } end
if fence < current then return { nonce, 'fenced' } end
if fence > current then return { nonce, 'unminted' } end
redis.call('HSET', guarded_key, 'value', value)
return { nonce, 'written' }
