#!lua
-- queue: makes sure that a queue and its group exist, and sets whether it is paused.
--
-- KEYS     head queues queue in_flight
-- ARGV     nonce name status; status is active, paused, or '' to leave it (active if the queue is new)
-- returns  nonce, status, and for status
--            active, paused: what the queue is now
--            queue_lost          something of it had been there and is gone: what (see queue_state); nothing was
--                                made again, for that would hide the loss; queue_repair does it
--            uninitialised, corrupt_partition: what was found; nothing was written
-- repeat   the same.
--
-- The group of a new queue begins at 0, never at the end of the stream: jobs sent before any worker came are jobs. It is made
-- before the name is listed, so a listed queue has its group. A lost queue that is listed can be paused.
local head_key, queues_key, queue_key, in_flight_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local nonce, name, status = unpack(ARGV)

local list = redis.pcall('HGETALL', head_key)
if list.err then return { nonce, 'corrupt_partition', 'head: ' .. list.err } end
local head = named(list)
local bad, detail = head_problem(head_key, head.format)
if bad then return { nonce, bad, detail } end
local problem = wrong_type('HLEN', queues_key)
if problem then return { nonce, 'corrupt_partition', problem } end
local listed = redis.call('HGET', queues_key, name)
local state = queue_state(queue_key, in_flight_key, name, head, listed, server_ms())
if state.damaged then return { nonce, 'corrupt_partition', state.damaged } end

if state.problem ~= '' then
  if not (listed and status == 'paused') then return { nonce, 'queue_lost', state.problem, state.lost } end
elseif not (redis.call('EXISTS', queue_key) == 1 and group_of(queue_key)) then
  -- Where it was, if it was there before: only the group is gone then.
  redis.call('XGROUP', 'CREATE', queue_key, GROUP, head[queue_field('taken', name)] or '0', 'MKSTREAM',
    'ENTRIESREAD', head[queue_field('taken_count', name)] or '0')
end
if status == '' then status = listed or 'active' end
if not listed then
  redis.call('HSET', head_key, queue_field('opened', name), '1', queue_field('added', name), digits(state.added))
end
redis.call('HSET', queues_key, name, status)
return { nonce, status }
