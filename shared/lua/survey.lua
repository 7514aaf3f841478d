#!lua
-- survey: what stats answers, and remembers what it saw of each queue: so what is lost later can be counted, and
-- what stands still has an age whatever the clock does.
--
-- KEYS     head queues registered scheduled dead parked resources, then for each queue: queue in_flight
-- ARGV     nonce, then for each queue, in the order of KEYS: name
-- returns  nonce, status, and for status
--            stats               as stats answers it, as it was before this call
--            uninitialised, stale_keys, corrupt_partition: what was found; nothing was written
-- repeat   the same, later.
--
-- What it writes it has read from the stream itself, at the same instant: a call that comes late, or twice, writes
-- what is true then. Of a queue with a problem it writes nothing: what was known of it is what names the loss.
local nonce, head_key, resources_key = ARGV[1], KEYS[1], KEYS[7]
local now_ms = server_ms()
local reply, head, states = partition_stats(now_ms, 8)
if not reply then return { nonce, head, states } end

-- The index of resources never shrinks.
local resources = redis.pcall('ZCARD', resources_key)
if type(resources) == 'number' and resources > (integer(head.resources_seen or '0') or resources) then
  redis.call('HSET', head_key, 'resources_seen', digits(resources))
end
for name, state in pairs(states) do
  local fields = {}
  local function remember(field, value)
    if value and head[field] ~= value then
      fields[#fields + 1] = field
      fields[#fields + 1] = value
    end
  end
  if state.problem == '' and (state.listed or state.added > 0) then
    remember(queue_field('added', name), digits(state.added))
    local known = string.match(head[queue_field('oldest', name)] or '', '^%S+')
    if state.oldest ~= known then
      remember(queue_field('oldest', name), state.oldest and state.oldest .. ' ' .. digits(now_ms) or '')
    end
    if #fields > 0 then redis.call('HSET', head_key, unpack(fields)) end
  end
end
return reply
