#!lua flags=no-writes
-- stats: the counters of one partition and its queues, all of one instant.
--
-- KEYS     head queues scheduled dead parked, then the stream of every queue
-- ARGV     nonce, then the name of every queue, in the order of its stream in KEYS
-- returns  nonce, status, and for status
--            stats               at_ms, then the head as HGETALL gives it (a list), scheduled, dead, parked,
--                                then for each queue a list: name, status, length, entries_added, waiting,
--                                pending, at_ms of its oldest unsettled entry ('' if none), 1 if the stream has
--                                entries that were never fetched, else 0
--            uninitialised, stale_keys, corrupt_partition: what was found
-- repeat   the same, later.
local head_key, queues_key, scheduled_key, dead_key, parked_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local nonce = ARGV[1]
local names = { unpack(ARGV, 2) }
local GROUP = 'workers'

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local head = redis.pcall('HGETALL', head_key)
if head.err then return { nonce, 'corrupt_partition', 'head: ' .. head.err } end
if #head == 0 then return { nonce, 'uninitialised', 'no head' } end
local streams, problem, what = queue_streams(queues_key, names, 6)
if not streams then return { nonce, problem, what } end
problem = wrong_type('ZCARD', scheduled_key) or wrong_type('ZCARD', dead_key) or wrong_type('HLEN', parked_key)
if problem then return { nonce, 'corrupt_partition', problem } end
local scheduled, dead = redis.call('ZCARD', scheduled_key), redis.call('ZCARD', dead_key)
local parked = redis.call('HLEN', parked_key)

local function named(reply)
  local fields = {}
  for i = 1, #reply, 2 do fields[reply[i]] = reply[i + 1] end
  return fields
end

local counters = named(head)
local reply = { nonce, 'stats', digits(now_ms), head, scheduled, dead, parked }
for _, name in ipairs(names) do
  local key = streams[name]
  local stream = redis.pcall('XINFO', 'STREAM', key)
  if stream.err then return { nonce, 'corrupt_partition', key .. ': ' .. stream.err } end
  local added, group = named(stream)['entries-added'], nil
  for _, row in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    if row[2] == GROUP then group = named(row) end
  end
  if not group then return { nonce, 'corrupt_partition', key .. ': no group ' .. GROUP } end
  local acked = integer(counters[queue_acked_field(name)] or '0')
  if not acked then return { nonce, 'corrupt_partition', 'head: ' .. queue_acked_field(name) } end
  local waiting = math.max(0, added - acked - group.pending)
  local oldest = ''
  local pending = redis.call('XPENDING', key, GROUP, '-', '+', 1)[1]
  local next_up = redis.call('XRANGE', key, '(' .. group['last-delivered-id'], '+', 'COUNT', 1)[1]
  for _, entry in ipairs({ pending and pending[1] or '', next_up and next_up[1] or '' }) do
    local at_ms = string.match(entry, '^%d+')
    if at_ms and (oldest == '' or tonumber(at_ms) < tonumber(oldest)) then oldest = at_ms end
  end
  reply[#reply + 1] = { name, redis.call('HGET', queues_key, name) or '', redis.call('XLEN', key), added, waiting,
    group.pending, oldest, next_up and 1 or 0 }
end
return reply
