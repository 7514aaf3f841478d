#!lua flags=no-writes
-- ready: which of some queues have entries that wait.
--
-- KEYS     head, then for each queue: queue
-- ARGV     nonce, then for each queue, in the order of KEYS: name
-- returns  nonce, status, and for status
--            ready               for each queue 1 if something waits in it, or did and was deleted, else 0
-- repeat   the same, later.
--
-- What is damaged counts as ready: the take that follows names it.
local head_key, nonce = KEYS[1], ARGV[1]
local reply = { nonce, 'ready' }
for i = 2, #ARGV do
  local counts = redis.pcall('HMGET', head_key, queue_field('taken', ARGV[i]), queue_field('taken_count', ARGV[i]))
  local stream = redis.pcall('XINFO', 'STREAM', KEYS[i])
  local is_ready
  if counts.err or stream.err then
    is_ready = counts.err ~= nil or redis.call('EXISTS', KEYS[i]) == 1
  else
    local taken, info = counts[1] or '0-0', named(stream)
    is_ready = digits(info['entries-added']) ~= (counts[2] or '0')
    -- Nearly always nothing came behind what was taken: then no entry need be looked for.
    if not is_ready and info['last-generated-id'] ~= taken and behind(taken) then
      local found = redis.pcall('XRANGE', KEYS[i], behind(taken), '+', 'COUNT', 1)
      is_ready = found.err ~= nil or found[1] ~= nil
    end
  end
  reply[#reply + 1] = is_ready and 1 or 0
end
return reply
