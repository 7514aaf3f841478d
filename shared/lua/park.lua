#!lua
-- park: moves one entry out of its stream, undecided: to scheduled (not due yet) or to dead.
--
-- KEYS     head queue parked scheduled dead bucket kept hold
-- ARGV     nonce consumer entry id fingerprint hour destination due_at_ms attempts queue_name reason excess envelope;
--          hour is '' for a timeless id; destination is scheduled or dead; due_at_ms counts for scheduled; bucket
--          and hold are those of the id; excess says what becomes of it where DEAD_MAX are dead for the reason
--          already: keep, strip (of poison: length and SHA-1 stand for its bytes) or refuse
-- returns  nonce, status:
--            parked          moved, and acknowledged
--            already_parked  another entry of this id waits there; this one is only acknowledged
--            due             not moved: it may be settled now
--            dead_full       not moved, since there are too many dead for this reason: settle may refuse it
--            not_owner       not moved: the entry is pending under another consumer, or settled
--            replayed:<code>:<seq>, id_mismatch:<seq>, id_expired   answered, and acknowledged
--            uninitialised, partition_frozen, corrupt_partition: what was found; nothing was written
-- repeat   not_owner: the first call acknowledged the entry.
--
-- Receipt first, then ownership, then acknowledge, then the destination: a zombie that comes late finds the
-- receipt or another owner, and can neither lose, double nor invent a job. Every type and right is checked
-- before the acknowledgement, which is the first write; the writes after it cannot fail.
local head_key, queue_key, parked_key, scheduled_key, dead_key, bucket_key, kept_key, hold_key = unpack(KEYS)
local nonce, consumer, entry, id, fingerprint, hour, destination, due_at_ms, attempts, queue_name, reason, excess,
  envelope = unpack(ARGV)
local GROUP = 'workers'

local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local queue_counter = queue_acked_field(queue_name)
local counters, status, detail = read_counters(head_key,
  { 'receipts_floor', 'floor_highest', 'acked', queue_counter, 'to_scheduled', 'to_dead', 'replayed', 'mismatched', 'expired' })
if not counters then return { nonce, status, detail } end
local below_floor, reads_kept = place_of(integer(hour), counters.receipts_floor, counters.floor_highest)
counters.receipts_floor, counters.floor_highest = nil, nil   -- read, never written here

local receipts_key = (hour == '' or below_floor) and kept_key or bucket_key
local owned = redis.pcall('XPENDING', queue_key, GROUP, entry, entry, 1, consumer)
local problem = owned.err or wrong_type('HLEN', receipts_key) or wrong_type('HLEN', kept_key)
  or wrong_type('HLEN', parked_key)
  or wrong_type('ZCARD', scheduled_key) or wrong_type('ZCARD', dead_key)
if problem then return { nonce, 'corrupt_partition', problem } end
local lacked = lacks_right({ { 'XACK', queue_key, GROUP, entry }, { 'ZADD', dead_key, '0', id },
  { 'HSET', parked_key, id, '' }, { 'HSET', head_key, 'acked', '0' } })
if lacked then return lacked end
if #owned == 0 then return { nonce, 'not_owner' } end

local function acknowledge()
  local acked = redis.call('XACK', queue_key, GROUP, entry)
  counters.acked, counters[queue_counter] = counters.acked + acked, counters[queue_counter] + acked
end

local function answer(counter, status)
  acknowledge()
  if counter then counters[counter] = counters[counter] + 1 end
  write_counters(head_key, counters)
  return { nonce, status }
end

local receipt = redis.call('HGET', receipts_key, id) or (reads_kept and redis.call('HGET', kept_key, id))
local hold = not receipt and below_floor and read_hold(hold_key)
local row_text = redis.call('HGET', parked_key, id)
local known, counter = answer_from_known(receipt, hold, row_text, below_floor, fingerprint)
if counter then return answer(counter, known) end
local row = read_row(row_text)
if known == 'corrupt_state' then
  -- What is known of this id is damaged: it waits in dead for a repair, as settle would have it.
  destination, reason, excess = 'dead', 'corrupt_state', 'keep'
elseif row and row.state ~= 'queued' then
  -- One row for an id: the copy that waits there stands for this one. It waits only where its set says so too.
  local place = row.state == 'dead' and dead_key or scheduled_key
  if not redis.call('ZSCORE', place, id) then redis.call('ZADD', place, row.at_ms, id) end
  return answer(nil, 'already_parked')
end
if destination == 'scheduled' and tonumber(due_at_ms) <= now_ms then return { nonce, 'due' } end
local length = ''
if destination == 'dead' and excess ~= 'keep' and head_number(head_key, 'dead:' .. reason) >= DEAD_MAX then
  if excess == 'refuse' then return { nonce, 'dead_full' } end
  length, envelope = digits(#envelope), redis.sha1hex(envelope)
end

acknowledge()
local score = destination == 'scheduled' and due_at_ms or digits(now_ms)
local added = redis.call('ZADD', destination == 'scheduled' and scheduled_key or dead_key, score, id)
redis.call('HSET', parked_key, id, write_row({ state = destination, fingerprint = fingerprint, attempts = attempts,
  queue = queue_name, reason = reason, at_ms = score, length = length, envelope = envelope }))
local counter = destination == 'scheduled' and 'to_scheduled' or 'to_dead'
counters[counter] = counters[counter] + added
write_counters(head_key, counters)
if destination == 'dead' then change_head_number(head_key, 'dead:' .. reason, added) end
if length ~= '' then change_head_number(head_key, 'dead_stripped', added) end
return { nonce, 'parked' }
