#!lua
-- queue_repair: makes a lost queue whole again. Whatever is in its stream waits again, from the beginning: what had
-- been settled of it is answered from its receipt. What is gone is counted as lost.
--
-- KEYS     head queues queue in_flight
-- ARGV     nonce name apply; apply is 1, or 0 to say only what would be done
-- returns  nonce, status, and for status
--            repaired            what was wrong, how many entries wait again, how many are counted as lost by this
--            intact              nothing is wrong; nothing was written
--            foreign_key         the stream is a key of another type: whoever knows what it is removes it
--            too_many            its ids are ahead of the clock, and more entries are unsettled than can be moved
--                                under new ids in one call: how many; let workers settle them first
--            uninitialised, partition_frozen, corrupt_partition: what was found; nothing was written
-- repeat   intact.
--
-- Safe at any time: the rows in flight are gone, so what a worker still works on meanwhile decides nothing any more. It
-- waits again like everything else in the stream, and what was settled of it is answered from its receipt.
-- The sums stay true: the queue's share of the law is afterwards what is left in it, and the difference to what was
-- ever added is kept in the head (`added_before`, `lost`).
local head_key, queues_key, queue_key, in_flight_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local nonce, name, apply = unpack(ARGV)
local MOVED_MAX = 1000

local counters, status, detail = read_counters(head_key, { queue_field('acked', name), 'acked' })
if not counters then return { nonce, status, detail } end
local head = named(redis.call('HGETALL', head_key))
local added_before, lost_before = integer(head.added_before or '0'), integer(head.lost or '0')
local vanished = integer(head.vanished or '0')
if not added_before or not lost_before or not vanished then return { nonce, 'corrupt_partition', 'head: added_before or lost' } end
local problem = wrong_type('HLEN', queues_key)
if problem then return { nonce, 'corrupt_partition', problem } end
local lacked = lacks_right('XGROUP', 'CREATE', queue_key, GROUP, '0', 'MKSTREAM')
  or lacks_right('XGROUP', 'DESTROY', queue_key, GROUP) or lacks_right('DEL', queue_key)
  or lacks_right('DEL', in_flight_key) or lacks_right('XADD', queue_key, '*', 'job', '')
  or lacks_right('HSET', head_key, 'lost', '0') or lacks_right('HSET', queues_key, name, 'active')
if lacked then return lacked end

local listed = redis.call('HGET', queues_key, name)
local state = queue_state(queue_key, in_flight_key, name, head, listed, server_ms())
if state.damaged then return { nonce, 'corrupt_partition', state.damaged } end
local wrong = state.problem
if wrong == 'wrong_type' then return { nonce, 'foreign_key' } end
if wrong == '' and (state.waiting > 0) ~= state.has_waiting then wrong = 'contradicted' end
if wrong == '' and state.ids ~= '' then wrong = 'ids_' .. state.ids end
if wrong == '' and vanished > 0 then
  -- Somebody has looked: what was deleted past the scripts, in whichever queue, counts as lost from now on.
  if apply ~= '0' then
    redis.call('HSET', head_key, 'vanished', '0', 'lost', digits(lost_before + vanished),
      'acked', digits(counters.acked - vanished))
  end
  return { nonce, 'repaired', 'vanished', 0, vanished }
end
if wrong == '' then return { nonce, 'intact' } end

-- Of a stream whose ids are ahead only what is not settled is kept: from its oldest on.
local is_there, kept = state.problem ~= 'no_stream', {}
if state.ids ~= '' and state.oldest then
  kept = redis.call('XRANGE', queue_key, state.oldest, '+', 'COUNT', MOVED_MAX + 1)
  local too_many = #kept > MOVED_MAX
  for _, entry in ipairs(kept) do too_many = too_many or #entry[2] > MOVED_MAX end
  if too_many then return { nonce, 'too_many', redis.call('XLEN', queue_key) } end
end
local left = state.ids ~= '' and #kept or state.length
local lost = math.max(0, state.added - counters[queue_field('acked', name)] - left)
if apply == '0' then return { nonce, 'repaired', wrong, left, lost } end

if state.ids ~= '' and is_there then
  -- Under new ids, in their order: the stream is begun anew, so that its ids follow the clock again.
  redis.call('DEL', queue_key)
  for _, entry in ipairs(kept) do redis.call('XADD', queue_key, '*', unpack(entry[2])) end
elseif is_there and group_of(queue_key) then
  redis.call('XGROUP', 'DESTROY', queue_key, GROUP)
end
redis.call('XGROUP', 'CREATE', queue_key, GROUP, '0', 'MKSTREAM')
redis.call('DEL', in_flight_key)
local added = named(redis.call('XINFO', 'STREAM', queue_key))['entries-added']
redis.call('XGROUP', 'SETID', queue_key, GROUP, '0', 'ENTRIESREAD', digits(added - left))
local ever = counters[queue_field('acked', name)] + left + lost
redis.call('HSET', head_key, queue_field('acked', name), digits(added - left), queue_field('taken', name), '0-0',
  queue_field('taken_count', name), digits(added - left), queue_field('rows', name), '0', queue_field('added', name), digits(added),
  queue_field('oldest', name), '', queue_field('opened', name), '1', 'added_before', digits(added_before + ever - added),
  'lost', digits(lost_before + lost))
redis.call('HSET', queues_key, name, listed or 'active')
return { nonce, 'repaired', wrong, left, lost }
