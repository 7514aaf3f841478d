#!lua
-- take: the two ends of a take, both in one transaction with the read between them. begin puts the group back to what
-- was really taken; note writes down what was read, as one row.
--
-- KEYS     head queues queue in_flight
-- ARGV     nonce mode name worker count; mode is begin or note; count is what the read asked for
-- returns  nonce, status, and for status
--            begun               the group stands, or was put, where the last row ends
--            taken               at_ms, then key, last and count of the row; its token is the nonce
--            nothing             nothing waits
--            paused              nothing was taken: the next begin puts the group back
--            queue_lost          something of it had been there and is gone: what, how many jobs (see queue_state)
--            uninitialised, partition_frozen, corrupt_partition: what was found; nothing was taken
-- repeat   begun; a second take reads on.
--
-- The read itself is a plain command, for Lua would convert each entry. So what is taken is what lies between the C of
-- the head and the place of the group after the read: every entry of the reply lies in the row, whoever else moved the
-- group before. What note refuses, or could not do, nobody has taken. If the process dies, or the reply is lost, the
-- row is there under its worker, and is read again.
local head_key, queues_key, queue_key, in_flight_key = unpack(KEYS)
local nonce, mode, name, worker, count = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])

local counters, status, detail, taken = read_counters(head_key,
  { queue_field('taken_count', name), queue_field('rows', name) }, queue_field('taken', name))
if not counters then return { nonce, status, detail } end
local taken_count, rows = counters[queue_field('taken_count', name)], counters[queue_field('rows', name)]
taken = taken or '0-0'
if not string.match(taken, '^%d+%-%d+$') then return { nonce, 'corrupt_partition', 'head: ' .. queue_field('taken', name) } end
local group = group_of(queue_key)

if mode == 'begin' then
  if not group then
    local refused, problem, lost = make_group(head_key, queues_key, queue_key, in_flight_key, name, taken, taken_count)
    if refused then return { nonce, refused, problem, lost } end
  elseif group['last-delivered-id'] ~= taken or group['entries-read'] ~= taken_count then
    redis.call('XGROUP', 'SETID', queue_key, GROUP, taken, 'ENTRIESREAD', digits(taken_count))
  end
  return { nonce, 'begun' }
end

if not group then return { nonce, 'corrupt_partition', queue_key .. ': no stream or no group' } end
if redis.call('HGET', queues_key, name) ~= 'active' then return { nonce, 'paused' } end
local problem = rows_problem(in_flight_key, rows)
if problem then return { nonce, 'corrupt_partition', problem } end
local lacked = lacks_right('HSET', in_flight_key, 'x', 'x') or lacks_right('HSET', head_key, 'x', 'x')
if lacked then return lacked end

local reached = group['last-delivered-id']
if reached == taken then
  -- What waits by the counts and is not there was deleted: it is counted as vanished, once nothing is behind C.
  local stream = named(redis.call('XINFO', 'STREAM', queue_key))
  local over = stream['entries-added'] - taken_count
  local from = behind(taken)
  if over > 0 and not (from and redis.call('XRANGE', queue_key, from, '+', 'COUNT', 1)[1]) then
    counters, status, detail = read_counters(head_key, { 'acked', queue_field('acked', name) })
    if not counters then return { nonce, status, detail } end
    redis.call('HSET', head_key, queue_field('taken', name), stream['last-generated-id'],
      queue_field('taken_count', name), digits(taken_count + over), 'acked', digits(counters.acked + over),
      queue_field('acked', name), digits(counters[queue_field('acked', name)] + over),
      'vanished', digits((integer(redis.call('HGET', head_key, 'vanished') or '0') or 0) + over))
  end
  return { nonce, 'nothing' }
end

-- Redis counts what it reads, unless waiting entries were deleted; then it is counted here.
if not is_before(taken, reached) then return { nonce, 'corrupt_partition', queue_key .. ': its group was moved' } end
local read = group['entries-read'] and group['entries-read'] - taken_count
if not read or read < 1 or read > count then
  read = #redis.call('XRANGE', queue_key, behind(taken), reached, 'COUNT', count + 1)
end
if read < 1 or read > count then return { nonce, 'corrupt_partition', queue_key .. ': its group was moved' } end
local now_ms = server_ms()
redis.call('HSET', in_flight_key, taken, write_flight({ token = nonce, worker = worker, taken_at_ms = now_ms,
  deliveries = 1, last = reached, count = read, ids = '' }))
redis.call('HSET', head_key, queue_field('taken', name), reached, queue_field('taken_count', name), digits(taken_count + read),
  queue_field('rows', name), digits(rows + 1))
return { nonce, 'taken', digits(now_ms), taken, reached, read }
