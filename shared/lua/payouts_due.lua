#!lua flags=no-writes
-- payouts_due: open payouts that somebody should look at now, by server time.
--
-- KEYS     payouts
-- ARGV     nonce from limit
-- returns  nonce, status, and for status
--            due                 at_ms, due_at_ms of the next one or '', how many are due, then account TAB id of
--                                each from the from-th on (from 0), the longest due first; then, with the first
--                                of them, those that are due later than any can be
--            corrupt_partition   payouts is no sorted set
-- repeat   the same, later.
--
-- Nobody waits for longer than a lease and the longest pause after it: what is due later than that was put there
-- before the clock went back.
local payouts_key = KEYS[1]
local nonce, from, limit = ARGV[1], ARGV[2] + 0, ARGV[3] + 0

local now_ms = server_ms()
local now = digits(now_ms)
local count = redis.pcall('ZCOUNT', payouts_key, '-inf', now)
if type(count) ~= 'number' then return { nonce, 'corrupt_partition' } end
local due = {}
-- By rank: past a member in front it costs no more than the first.
if from < count then due = redis.call('ZRANGE', payouts_key, from, math.min(from + limit, count) - 1) end
local WAIT_MS_MAX, REVIEW_SCORE = 1000000, '9007199254740991'
if from == 0 then
  local ahead_from = digits(now_ms + WAIT_MS_MAX)
  local ahead = redis.call('ZRANGE', payouts_key, '(' .. ahead_from, '(' .. REVIEW_SCORE, 'BYSCORE', 'LIMIT', 0, limit)
  for _, member in ipairs(ahead) do due[#due + 1] = member end
end
local next_due = redis.call('ZRANGE', payouts_key, '(' .. now, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
return { nonce, 'due', now, next_due[2] or '', digits(count), unpack(due) }
