#!lua
-- init_meta: the signpost of a namespace, written before its heads (initialising) and after them (ready).
--
-- KEYS     meta
-- ARGV     nonce state partitions retention_ms; state is initialising or ready
-- returns  nonce, status, partitions, retention_ms: status is written, or other_partitions (a namespace keeps
--          the number it was initialised with); the numbers are the ones in force. Or corrupt_partition and
--          what was found
-- repeat   the same.
local meta_key = KEYS[1]
local nonce, state, partitions, retention_ms = unpack(ARGV)

local before = redis.pcall('HMGET', meta_key, 'state', 'partitions', 'retention_ms')
if before.err then return { nonce, 'corrupt_partition', 'meta: ' .. before.err } end
if before[2] and before[2] ~= partitions then return { nonce, 'other_partitions', before[2], before[3] or '' } end
-- A namespace that is ready stays ready while its retention changes.
if before[1] == 'ready' then state = 'ready' end
redis.call('HSET', meta_key, 'format', '1', 'state', state, 'partitions', partitions, 'retention_ms', retention_ms)
return { nonce, 'written', partitions, retention_ms }
