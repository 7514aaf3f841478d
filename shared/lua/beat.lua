#!lua
-- beat: a worker says that it lives and what it runs, at server time, and hears what else there is.
--
-- KEYS     workers head queues registered
-- ARGV     nonce consumer description
-- returns  nonce, at_ms, how many workers are in the list, the identity in the head or '', then two lists: for each
--          queue its name, its status, and how many of its entries were ever settled, or '' while some are in flight;
--          and the names that are registered
-- repeat   beats again.
--
-- Where there is no head nothing is written: a Redis that was emptied stays empty, so that `init` finds it so.
local workers_key, head_key, queues_key, registered_key = unpack(KEYS)
local nonce, consumer, description = unpack(ARGV)
local now_ms = digits(server_ms())
if redis.call('EXISTS', head_key) == 1 then
  redis.call('HSET', workers_key, consumer, now_ms .. '\t' .. description)
end

-- A head that is damaged is named by those who need it: here it says nothing.
local function of_head(...)
  local found = redis.pcall('HMGET', head_key, ...)
  return found.err and {} or found
end
local list, queues = redis.call('HGETALL', queues_key), {}
local head = of_head('identity', 'frozen')
for i = 1, #list, 2 do
  local counts = of_head(queue_field('rows', list[i]), queue_field('acked', list[i]))
  local is_quiet = head[2] == '0' and (counts[1] or '0') == '0'
  for _, value in ipairs({ list[i], list[i + 1], is_quiet and (counts[2] or '0') or '' }) do
    queues[#queues + 1] = value
  end
end
return { nonce, now_ms, redis.call('HLEN', workers_key), head[1] or '', queues, redis.call('SMEMBERS', registered_key) }
