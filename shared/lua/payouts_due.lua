#!lua flags=no-writes
-- payouts_due: open payouts that somebody should look at now, by server time.
--
-- KEYS     payouts
-- ARGV     nonce limit
-- returns  nonce, status, and for status
--            due                 at_ms, due_at_ms of the next one or '', then account TAB id of each, the
--                                longest due first
--            corrupt_partition   payouts is no sorted set
-- repeat   the same, later.
local payouts_key = KEYS[1]
local nonce, limit = ARGV[1], ARGV[2]

local time = redis.call('TIME')
local now = digits(time[1] * 1000 + math.floor(time[2] / 1000))
local due = redis.pcall('ZRANGE', payouts_key, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)
if due.err then return { nonce, 'corrupt_partition' } end
local next_due = redis.call('ZRANGE', payouts_key, '(' .. now, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
return { nonce, 'due', now, next_due[2] or '', unpack(due) }
