#!lua
-- queue: makes sure that a queue and its group exist, and sets whether it is paused.
--
-- KEYS     head queues queue
-- ARGV     nonce name status; status is active, paused, or '' to leave it (active if the queue is new)
-- returns  nonce, status: the queue's status now; uninitialised; corrupt_partition
-- repeat   the same.
--
-- The group begins at 0, never at the end of the stream: jobs sent before any worker came are jobs.
local head_key, queues_key, queue_key = KEYS[1], KEYS[2], KEYS[3]
local nonce, name, status = unpack(ARGV)
local GROUP = 'workers'

if redis.call('EXISTS', head_key) == 0 then return { nonce, 'uninitialised' } end
local before = redis.pcall('HGET', queues_key, name)
if before and type(before) ~= 'string' then return { nonce, 'corrupt_partition' } end
if type(redis.pcall('XLEN', queue_key)) ~= 'number' then return { nonce, 'corrupt_partition' } end

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
