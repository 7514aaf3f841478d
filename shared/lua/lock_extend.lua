#!lua flags=allow-oom
-- lock_extend: the owner of a lock keeps it for longer. A lock that is gone stays gone.
--
-- KEYS     lock
-- ARGV     nonce token ttl_ms; token is the owner's
-- returns  nonce, status, and for status
--            extended
--            gone       nobody has it: expired, deleted, or lost in a restart
--            taken      another has it: that owner's token
-- repeat   extends again, or answers what is true by then.
--
-- It runs at maxmemory too: it takes no memory, and a lock must not end because a neighbour filled the server.
local lock_key = KEYS[1]
local nonce, token, ttl_ms = unpack(ARGV)
local owner = redis.pcall('GET', lock_key)
if not owner then return { nonce, 'gone' } end
-- A key of another type is not ours either.
if owner ~= token then return { nonce, 'taken', type(owner) == 'string' and owner or '' } end
redis.call('PEXPIRE', lock_key, ttl_ms)
return { nonce, 'extended' }
