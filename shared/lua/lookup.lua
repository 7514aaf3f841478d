#!lua flags=no-writes
-- lookup: what is known of ids in one partition.
-- Programs that do not use the library call it too, as docs/lookup.lua: docs/protocol.md says how.
--
-- KEYS     head parked kept, then for each timed id: receipts hold
-- ARGV     nonce, then for each job: id hour bucket; hour is '' for a timeless id, bucket the position of its
--          receipts' key in KEYS, which its hold's key follows
-- returns  nonce, status, and for status
--            found               the head's seq, then for each id one of
--              receipt <fingerprint> <code> <seq>   also where an open hold stands for it; if something of it was
--                                given back, how much in all and the seq of the line that did so last follow
--              parked <state> <fingerprint> <at_ms> <reason>   at_ms: when it is due, or when it gave up
--              expired           below the floor, and neither kept nor parked
--              none              no trace: waiting in a stream, or never arrived
--            uninitialised, corrupt_partition: what was found
-- repeat   the same, later.
local head_key, parked_key, kept_key = KEYS[1], KEYS[2], KEYS[3]
local nonce = ARGV[1]

local head = redis.pcall('HMGET', head_key, 'receipts_floor', 'seq', 'floor_highest', 'format')
if head.err then return { nonce, 'corrupt_partition', 'head: ' .. head.err } end
local status, detail = head_problem(head_key, head[4])
if status then return { nonce, status, detail } end
local floor, floor_highest = integer(head[1]), integer(head[3])
if not floor or not floor_highest or not integer(head[2]) then return { nonce, 'corrupt_partition', 'head: its floor or its seq' } end
local problem = wrong_type('HLEN', parked_key)
if problem then return { nonce, 'corrupt_partition', problem } end

local reply = { nonce, 'found', head[2] }
for at = 2, #ARGV, 3 do
  local id, hour, bucket = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local below_floor, reads_kept = place_of(integer(hour), floor, floor_highest)
  local key = (hour == '' or below_floor) and kept_key or KEYS[tonumber(bucket)]
  local receipt = redis.pcall('HGET', key, id)
  if not receipt and reads_kept then receipt = redis.pcall('HGET', kept_key, id) end
  local hold = not receipt and below_floor and read_hold(KEYS[bucket + 1])
  local row_text = redis.call('HGET', parked_key, id)
  local row = read_parked(row_text)
  if receipt and receipt.err then return { nonce, 'corrupt_partition', 'receipt of ' .. id .. ': ' .. receipt.err } end
  if receipt then
    if not read_receipt(receipt) then return { nonce, 'corrupt_partition', 'receipt of ' .. id } end
    reply[#reply + 1] = 'receipt ' .. receipt
  elseif hold == CORRUPT_HOLD then
    return { nonce, 'corrupt_partition', 'hold of ' .. id }
  elseif hold then
    reply[#reply + 1] = table.concat({ 'receipt', hold[1], hold[2], hold[3] }, ' ')
  elseif row_text and not row then
    return { nonce, 'corrupt_partition', 'parked row of ' .. id }
  elseif row then
    reply[#reply + 1] = table.concat({ 'parked', row.state, row.fingerprint, row.at_ms, row.reason }, ' ')
  elseif below_floor then
    reply[#reply + 1] = 'expired'
  else
    reply[#reply + 1] = 'none'
  end
end
return reply
