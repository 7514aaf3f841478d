#!lua flags=allow-oom
-- lock_release: the owner of a lock gives it back, or whoever is next in line leaves it. Nobody else's is touched.
--
-- KEYS     lock next
-- ARGV     nonce token; token is the owner's
-- returns  nonce, status, and for status
--            released   whether another is next in line: 1 or 0
--            gone       nobody has it
--            taken      another has it: that owner's token
-- repeat   gone, or taken by the next owner.
--
-- It runs at maxmemory too: it only frees.
local lock_key, next_key = unpack(KEYS)
local nonce, token = unpack(ARGV)
local owner = redis.pcall('GET', lock_key)
if not owner then return { nonce, 'gone' } end
if owner ~= token then return { nonce, 'taken', type(owner) == 'string' and owner or '' } end
redis.call('DEL', lock_key)
return { nonce, 'released', redis.pcall('GET', next_key) and '1' or '0' }
