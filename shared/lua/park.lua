#!lua
-- park: moves entries of one row in flight out of their stream, undecided: to scheduled (not due yet) or to dead.
--
-- KEYS     head queue in_flight parked scheduled dead kept, then for each entry: receipts hold
-- ARGV     nonce queue_name row token left, then for each entry: entry id fingerprint hour destination due_at_ms
--          attempts reason excess envelope; left are the entries of the row that the caller knows beside these, a space
--          between two; hour is '' for a timeless id; destination is scheduled or dead; due_at_ms counts for
--          scheduled; excess says what becomes of it where DEAD_MAX are dead for the reason already: keep, strip (of
--          poison: length and SHA-1 stand for its bytes) or refuse
-- returns  nonce, status, and for status
--            done                for each entry one of
--              parked          moved; it has left the row
--              already_parked  another entry of this id waits there; this one has only left the row
--              due             not moved: it may be settled now
--              dead_full       not moved, since there are too many dead for this reason: settle may refuse it
--              not_owner       not moved: it does not lie in this row, under this token
--              replayed:<code>:<seq>, id_mismatch:<seq>, id_expired: answered; it has left the row
--            uninitialised, partition_frozen, corrupt_partition: what was found; nothing was written
-- repeat   not_owner: what the first call moved has left the row.
--
-- The row first, then the receipt, then the destination: a zombie that comes late finds the row under another token, and
-- can neither lose, double nor invent a job. Every type and right is checked before the first write; the writes
-- cannot fail.
local head_key, queue_key, in_flight_key, parked_key, scheduled_key, dead_key, kept_key = unpack(KEYS, 1, 7)
local nonce, queue_name, row_key, token, left_text = unpack(ARGV, 1, 5)
local KEYS_COMMON, ITEMS_FIRST, ITEM_WIDTH = 7, 6, 10

local now_ms = server_ms()

local queue_counter, rows_field = queue_field('acked', queue_name), queue_field('rows', queue_name)
local counters, status, detail = read_counters(head_key,
  { 'receipts_floor', 'floor_highest', 'acked', queue_counter, rows_field, 'to_scheduled', 'to_dead', 'replayed', 'mismatched', 'expired' })
if not counters then return { nonce, status, detail } end
local floor, floor_highest = counters.receipts_floor, counters.floor_highest
counters.receipts_floor, counters.floor_highest = nil, nil   -- read, never written here

local problem = wrong_type('HLEN', kept_key) or wrong_type('HLEN', parked_key)
  or wrong_type('ZCARD', scheduled_key) or wrong_type('ZCARD', dead_key) or wrong_type('XLEN', queue_key)
for i = KEYS_COMMON + 1, #KEYS, 2 do problem = problem or wrong_type('HLEN', KEYS[i]) end
if problem then return { nonce, 'corrupt_partition', problem } end
local row
row, problem = row_of(in_flight_key, counters[rows_field], row_key, token)
if problem then return { nonce, 'corrupt_partition', problem } end
local lacked = lacks_right('HSET', in_flight_key, 'x', 'x') or lacks_right('HDEL', in_flight_key, 'x')
  or lacks_right('ZADD', scheduled_key, '0', 'x') or lacks_right('ZADD', dead_key, '0', 'x')
  or lacks_right('HSET', parked_key, 'x', '') or lacks_right('HSET', head_key, 'acked', '0')
if lacked then return lacked end

local items = {}
for at = ITEMS_FIRST, #ARGV, ITEM_WIDTH do
  local n = #items
  items[n + 1] = { entry = ARGV[at], id = ARGV[at + 1], fingerprint = ARGV[at + 2], hour = ARGV[at + 3],
    destination = ARGV[at + 4], due_at_ms = ARGV[at + 5], attempts = ARGV[at + 6], reason = ARGV[at + 7],
    excess = ARGV[at + 8], envelope = ARGV[at + 9],
    bucket_key = KEYS[KEYS_COMMON + 1 + 2 * n], hold_key = KEYS[KEYS_COMMON + 2 + 2 * n] }
end
local stay = ids_of(left_text)
local named, row_ids, named_set = #items + #stay, nil, set_of(stay)
if row then
  if row.ids ~= '' then row_ids = set_of(ids_of(row.ids)) end
  for _, item in ipairs(items) do named_set[item.entry] = true end
  local unknown = unknown_of(queue_key, row, row_key, named, named_set)
  if not unknown then
    return { nonce, 'corrupt_partition', 'in flight: row ' .. row_key .. ' has ' .. digits(row.count) .. ' entries, not ' .. named }
  end
  for _, entry in ipairs(unknown) do
    named, stay[#stay + 1] = named + 1, entry
  end
end

-- Answers what becomes of one entry, and whether it leaves the row.
local function move(item)
  local id = item.id
  local below_floor, reads_kept = place_of(integer(item.hour), floor, floor_highest)
  local receipts_key = (item.hour == '' or below_floor) and kept_key or item.bucket_key
  local receipt = redis.call('HGET', receipts_key, id) or (reads_kept and redis.call('HGET', kept_key, id))
  local hold = not receipt and below_floor and read_hold(item.hold_key)
  local row_text = redis.call('HGET', parked_key, id)
  local known, counter = answer_from_known(receipt, hold, row_text, below_floor, item.fingerprint)
  if counter then
    counters[counter] = counters[counter] + 1
    return known, true
  end
  local destination, reason, excess, envelope = item.destination, item.reason, item.excess, item.envelope
  local parked = read_parked(row_text)
  if known == 'corrupt_state' then
    -- What is known of this id is damaged: it waits in dead for a repair, as settle would have it.
    destination, reason, excess = 'dead', 'corrupt_state', 'keep'
  elseif parked and parked.state ~= 'queued' then
    -- One row for an id: the copy that waits there stands for this one. It waits only where its set says so too.
    local place = parked.state == 'dead' and dead_key or scheduled_key
    if not redis.call('ZSCORE', place, id) then redis.call('ZADD', place, parked.at_ms, id) end
    return 'already_parked', true
  end
  if destination == 'scheduled' and tonumber(item.due_at_ms) <= now_ms then return 'due', false end
  local length = ''
  if destination == 'dead' and excess ~= 'keep' and head_number(head_key, 'dead:' .. reason) >= DEAD_MAX then
    if excess == 'refuse' then return 'dead_full', false end
    length, envelope = digits(#envelope), redis.sha1hex(envelope)
  end
  local score = destination == 'scheduled' and item.due_at_ms or digits(now_ms)
  local added = redis.call('ZADD', destination == 'scheduled' and scheduled_key or dead_key, score, id)
  redis.call('HSET', parked_key, id, write_parked({ state = destination, fingerprint = item.fingerprint,
    attempts = item.attempts, queue = queue_name, reason = reason, at_ms = score, length = length, envelope = envelope }))
  local moved = destination == 'scheduled' and 'to_scheduled' or 'to_dead'
  counters[moved] = counters[moved] + added
  if destination == 'dead' then change_head_number(head_key, 'dead:' .. reason, added) end
  if length ~= '' then change_head_number(head_key, 'dead_stripped', added) end
  return 'parked', true
end

local answers = {}
for i, item in ipairs(items) do
  answers[i] = 'not_owner'
  if row and (not row_ids or row_ids[item.entry]) then
    local leaves
    answers[i], leaves = move(item)
    if not leaves then stay[#stay + 1] = item.entry end
  end
end
if row then
  local left, leaving, vanishing = left_of(row, row_key, named, named_set, stay)
  counters[rows_field] = counters[rows_field] + write_left(in_flight_key, row_key, row, left)
  counters.acked, counters[queue_counter] = counters.acked + leaving, counters[queue_counter] + leaving
  if vanishing > 0 then change_head_number(head_key, 'vanished', vanishing) end
  -- Whatever is counted has left the row.
  if leaving > 0 then write_counters(head_key, counters) end
end
return { nonce, 'done', unpack(answers) }
