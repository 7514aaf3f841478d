#!lua
-- promote: puts scheduled jobs that are due, by server time, back into their streams.
--
-- KEYS     head queues parked scheduled, then the stream of every queue
-- ARGV     nonce limit, then the name of every queue, in the order of its stream in KEYS
-- returns  nonce, status, and for status
--            promoted            how many, how many could not (their row is damaged), at_ms, due_at_ms of the
--                                next scheduled job or ''
--            stale_keys          a queue was added: read the list again
--            corrupt_partition   nothing was written
-- repeat   promotes what has become due since.
local head_key, queues_key, parked_key, scheduled_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local nonce, limit = ARGV[1], ARGV[2]
local names = { unpack(ARGV, 3) }

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local counters = read_counters(head_key, { 'requeued' })
local streams, problem = queue_streams(queues_key, names, 5)
local due = redis.pcall('ZRANGE', scheduled_key, '-inf', digits(now_ms), 'BYSCORE', 'LIMIT', 0, limit)
if not counters or due.err or type(redis.pcall('HLEN', parked_key)) ~= 'number' then
  return { nonce, 'corrupt_partition' }
end
if not streams then return { nonce, problem } end

local promoted, damaged = 0, 0
for _, id in ipairs(due) do
  if requeue(scheduled_key, parked_key, streams, id) == 'requeued' then
    promoted = promoted + 1
  else
    damaged = damaged + 1
  end
end
if promoted > 0 then
  counters.requeued = counters.requeued + promoted
  write_counters(head_key, counters)
end
local next_due = redis.call('ZRANGE', scheduled_key, '(' .. digits(now_ms), '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
return { nonce, 'promoted', promoted, damaged, digits(now_ms), next_due[2] or '' }
