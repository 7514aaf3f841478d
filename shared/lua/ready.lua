#!lua flags=no-writes
-- ready: which of some queues have entries that wait.
--
-- KEYS     head, then the stream of every queue that is asked for
-- ARGV     nonce, then the name of each, in the order of its stream in KEYS
-- returns  nonce, status, and for status
--            ready               for each queue 1 if something waits in it, or did and was deleted, else 0
-- repeat   the same, later.
--
-- What is damaged counts as ready: the take that follows names it.
local head_key, nonce = KEYS[1], ARGV[1]
local reply = { nonce, 'ready' }
for i = 2, #ARGV do
  local taken = redis.pcall('HGET', head_key, queue_taken_field(ARGV[i]))
  local from = type(taken) ~= 'table' and behind(taken or '0-0')
  local found = from and redis.pcall('XRANGE', KEYS[i], from, '+', 'COUNT', 1)
  local is_ready = type(taken) == 'table' or (found and (found.err or found[1]))
  if not is_ready then
    local stream = redis.pcall('XINFO', 'STREAM', KEYS[i])
    is_ready = not stream.err
      and digits(named(stream)['entries-added']) ~= (redis.call('HGET', head_key, queue_taken_count_field(ARGV[i])) or '0')
  end
  reply[#reply + 1] = is_ready and 1 or 0
end
return reply
