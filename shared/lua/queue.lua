#!lua
-- queue: makes sure that a queue and its group exist, and sets whether it is paused.
--
-- KEYS     head queues queue
-- ARGV     nonce name status; status is active, paused, or '' to leave it (active if the queue is new)
-- returns  nonce, status: the queue's status now; or uninitialised, corrupt_partition and what was found
-- repeat   the same.
--
-- The group begins at 0, never at the end of the stream: jobs sent before any worker came are jobs. It is made
-- before the name is listed, so a listed queue has its group.
local head_key, queues_key, queue_key = KEYS[1], KEYS[2], KEYS[3]
local nonce, name, status = unpack(ARGV)
local GROUP = 'workers'

if redis.call('EXISTS', head_key) == 0 then return { nonce, 'uninitialised', 'no head' } end
local problem = wrong_type('HLEN', queues_key) or wrong_type('XLEN', queue_key)
if problem then return { nonce, 'corrupt_partition', problem } end
local before = redis.call('HGET', queues_key, name)

local has_group = false
if redis.call('EXISTS', queue_key) == 1 then
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', queue_key)) do
    if group[2] == GROUP then has_group = true end
  end
end
if not has_group then redis.call('XGROUP', 'CREATE', queue_key, GROUP, '0', 'MKSTREAM') end
if status == '' then status = before or 'active' end
redis.call('HSET', queues_key, name, status)
return { nonce, status }
