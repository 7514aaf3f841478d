#!lua
-- promote: puts scheduled jobs that are due, by server time, back into their streams.
--
-- KEYS     head queues registered parked scheduled dead, then for each queue: queue in_flight
-- ARGV     nonce limit, then for each queue, in the order of KEYS: name
-- returns  nonce, status, and for status
--            promoted            how many, how many went to dead (their row is damaged or their queue gone),
--                                at_ms, due_at_ms of the next scheduled job or ''
--            stale_keys          a queue was added: read the list again
--            uninitialised, partition_frozen, corrupt_partition: what was found; nothing was written
-- repeat   promotes what has become due since.
--
-- What cannot be promoted does not stay: the first of it would be due for ever and keep the others back. Rights are
-- asked for first, to each stream: a right that is missing is no damage, and moves nothing to dead.
local head_key, queues_key, registered_key, parked_key, scheduled_key, dead_key =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local nonce, limit = ARGV[1], ARGV[2]
local names = { unpack(ARGV, 3) }

local now_ms = server_ms()

local counters, status, detail = read_counters(head_key, { 'requeued' })
if not counters then return { nonce, status, detail } end
-- Nearly always nothing is due, and an idle fleet asks all the time: the rest costs ten times as much.
local first = redis.pcall('ZRANGE', scheduled_key, 0, 0, 'WITHSCORES')
if not first.err and (not first[1] or tonumber(first[2]) > now_ms) then
  return { nonce, 'promoted', 0, 0, digits(now_ms), first[2] or '' }
end
local streams, problem, what = queue_streams(queues_key, registered_key, names, 7)
if not streams then return { nonce, problem, what } end
problem = wrong_type('ZCARD', scheduled_key) or wrong_type('ZCARD', dead_key) or wrong_type('HLEN', parked_key)
if problem then return { nonce, 'corrupt_partition', problem } end
local lacked = lacks_right_to_add(streams) or lacks_right('ZREM', scheduled_key, 'x')
  or lacks_right('ZADD', dead_key, '0', 'x') or lacks_right('HSET', parked_key, 'x', 'x')
  or lacks_right('HDEL', parked_key, 'x') or lacks_right('HSET', head_key, 'requeued', '0')
if lacked then return lacked end

local due = redis.call('ZRANGE', scheduled_key, '-inf', digits(now_ms), 'BYSCORE', 'LIMIT', 0, limit)
local promoted, damaged = 0, 0
for _, id in ipairs(due) do
  if requeue(scheduled_key, parked_key, streams, id) == 'requeued' then
    promoted = promoted + 1
  else
    redis.call('ZREM', scheduled_key, id)
    local row = read_parked(redis.call('HGET', parked_key, id))
    change_head_number(head_key, dead_field(row), redis.call('ZADD', dead_key, digits(now_ms), id))
    damaged = damaged + 1
  end
end
if promoted > 0 then
  counters.requeued = counters.requeued + promoted
  write_counters(head_key, counters)
end
local next_due = redis.call('ZRANGE', scheduled_key, '(' .. digits(now_ms), '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
return { nonce, 'promoted', promoted, damaged, digits(now_ms), next_due[2] or '' }
