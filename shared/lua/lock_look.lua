#!lua flags=no-writes
-- lock_look: who has a lock on this node, and for how long. Reads only.
--
-- KEYS     lock
-- ARGV     nonce
-- returns  nonce, status, and for status
--            free
--            held       the owner's token (empty: the key is no lock, but of another type), milliseconds left
--                       (-1: the key never expires, so no lock of ours)
-- repeat   answers what is true by then.
local lock_key = KEYS[1]
local nonce = ARGV[1]
local owner = redis.pcall('GET', lock_key)
if not owner then return { nonce, 'free' } end
return { nonce, 'held', type(owner) == 'string' and owner or '', tostring(redis.call('PTTL', lock_key)) }
