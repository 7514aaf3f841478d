#!lua flags=no-writes
-- lookup: what is known of ids in one partition.
--
-- KEYS     head parked kept, then the receipt bucket of every timed id
-- ARGV     nonce, then for each id: id hour bucket; hour is '' for a timeless id, bucket the position of its key
--          in KEYS
-- returns  nonce, status, and for status
--            found               the head's seq, then for each id one of
--                                receipt <fingerprint> <code> <seq>
--                                parked <state> <fingerprint> <due_at_ms> <reason>
--                                expired   below the floor, and neither kept nor parked
--                                none      no trace: waiting in a stream, or never arrived
--            uninitialised, corrupt_partition
-- repeat   the same, later.
local head_key, parked_key, kept_key = KEYS[1], KEYS[2], KEYS[3]
local nonce = ARGV[1]

local head = redis.pcall('HMGET', head_key, 'receipts_floor', 'seq')
if head.err then return { nonce, 'corrupt_partition' } end
if not head[1] then return { nonce, 'uninitialised' } end
local floor = integer(head[1])
if not floor or not integer(head[2]) then return { nonce, 'corrupt_partition' } end

local reply = { nonce, 'found', head[2] }
for at = 2, #ARGV, 3 do
  local id, hour, bucket = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local below_floor = hour ~= '' and tonumber(hour) < floor
  local key = (hour == '' or below_floor) and kept_key or KEYS[tonumber(bucket)]
  local receipt = redis.pcall('HGET', key, id)
  local row = read_row(redis.pcall('HGET', parked_key, id))
  if receipt and type(receipt) ~= 'string' then return { nonce, 'corrupt_partition' } end
  if receipt then
    reply[#reply + 1] = 'receipt ' .. receipt
  elseif row then
    reply[#reply + 1] = table.concat({ 'parked', row.state, row.fingerprint, row.at_ms, row.reason }, ' ')
  elseif below_floor then
    reply[#reply + 1] = 'expired'
  else
    reply[#reply + 1] = 'none'
  end
end
return reply
