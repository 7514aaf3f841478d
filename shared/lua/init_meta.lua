#!lua
-- init_meta: what a namespace says of itself, written before its heads (initialising) and after them (ready).
--
-- KEYS     meta
-- ARGV     nonce state partitions retention_ms identity tags; state is initialising or ready,
--          tags are those of all partitions in their order, a space between two
-- returns  nonce, status, and for status
--            written             the identity in force, which a namespace keeps
--            other_partitions    the number it was initialised with, and keeps
--            corrupt_partition   what was found
-- repeat   the same.
local meta_key = KEYS[1]
local nonce, state, partitions, retention_ms, identity, tags = unpack(ARGV)

local before = redis.pcall('HMGET', meta_key, 'state', 'partitions', 'identity', 'format')
if before.err then return { nonce, 'corrupt_partition', 'meta: ' .. before.err } end
if before[1] and before[4] ~= FORMAT then return { nonce, 'corrupt_partition', 'meta: ' .. other_format(before[4]) } end
if before[2] and before[2] ~= partitions then return { nonce, 'other_partitions', before[2] } end
identity = before[3] or identity
-- A namespace that is ready stays ready while its retention changes.
if before[1] == 'ready' then state = 'ready' end
redis.call('HSET', meta_key, 'format', FORMAT, 'state', state, 'partitions', partitions, 'retention_ms', retention_ms,
  'identity', identity, 'tags', tags)
return { nonce, 'written', identity }
