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
-- file: parts/numbers.lua

-- Numbers. Lua's are doubles: exact up to 2^53 - 1, and their default text is not. `tonumber` alone would
-- take '0x10', '1e3' and 'nan'.
-- gives   NUMBER_MAX COUNTER_MAX number_of integer of_digits digits chunked
local NUMBER_MAX = 9007199254740991
local COUNTER_MAX = NUMBER_MAX - 1000000   -- of what a call may add to: it never counts past NUMBER_MAX

local string_find, string_format = string.find, string.format
local number_of = {}   -- text -> number, of the small ones that `integer` took: a batch repeats them

local function integer(text)
  local number = number_of[text]
  if number then return number end
  if text and #text <= 16 and string_find(text, '^%d+$') then
    number = text + 0   -- tonumber would read it twice
    if number < 1000 then number_of[text] = number end
    if number <= NUMBER_MAX then return number end
  end
end

-- The same of a text that a pattern has shown to be digits already; nil of nil.
local function of_digits(text)
  if text and #text <= 16 then
    local number = text + 0
    if number <= NUMBER_MAX then return number end
  end
end

-- '%d' costs half of '%.0f', but is only as wide as the server's C long.
local DIGITS = string_format('%d', NUMBER_MAX) == '9007199254740991' and '%d' or '%.0f'

local function digits(number)
  return string_format(DIGITS, number)
end

-- Calls a command with a list that may be longer than Lua's stack allows to unpack. Its first `fixed`
-- arguments are repeated in each call; `step` is a multiple of what belongs together.
local function chunked(command, key, list)
  for first = 1, #list, 1000 do
    redis.call(command, key, unpack(list, first, math.min(first + 999, #list)))
  end
end
-- file: parts/format.lua

-- The format of heads and of meta that this release reads and writes. Another one is refused by name.
-- gives   FORMAT other_format head_problem
local FORMAT = '4'

local function other_format(found)
  return 'format ' .. tostring(found) .. ', and this release reads format ' .. FORMAT .. ' only'
end

-- Is this head good? Answers a status and what was found if it is not; nil if it is one of ours. `format` is its field.
local function head_problem(head_key, format)
  if format == FORMAT then return nil end
  if not format and redis.call('EXISTS', head_key) == 0 then return 'uninitialised', 'no head' end
  return 'corrupt_partition', 'head: ' .. other_format(format)
end
-- file: parts/checks.lua

-- Checks before the first write. Redis takes back nothing of a script that stops half-way, so whatever could
-- stop it is asked for first: the type of each key that will be written, and the right to each command.
-- gives   wrong_type lacks_right

-- What is wrong with a key's type; nil if it is what `size_command` counts, or absent.
local function wrong_type(size_command, key)
  local size = redis.pcall(size_command, key)
  if type(size) ~= 'number' then return key .. ': ' .. size.err end
end

-- An error reply if the user may not run this command; nil if it is allowed.
local function lacks_right(...)
  if not redis.acl_check_cmd(...) then
    local command, key = ...
    return redis.error_reply('NOPERM the user lacks the right to ' .. command .. ' ' .. key)
  end
end
-- file: parts/parked_row.lua

-- A parked row: what left its stream undecided, under its id.
-- <state> TAB <fingerprint> TAB <attempts> TAB <queue> TAB <reason> TAB <at_ms> TAB <length> TAB <envelope, any bytes>
-- state is scheduled, dead or queued (back in its stream, undecided still). length is '' where the bytes are there;
-- else theirs, and their SHA-1 stands in their place: there were too many dead for this reason already.
-- gives   read_parked write_parked
local function read_parked(row)
  if type(row) ~= 'string' then return nil end
  local state, fingerprint, attempts, queue, reason, at_ms, length, envelope =
    string.match(row, '^(%l+)\t(%x+)\t(%d+)\t([^\t]*)\t([^\t]*)\t(%d+)\t(%d*)\t(.*)$')
  if not state then return nil end
  return { state = state, fingerprint = fingerprint, attempts = attempts, queue = queue, reason = reason,
    at_ms = at_ms, length = length, envelope = envelope }
end

local function write_parked(row)
  return table.concat({ row.state, row.fingerprint, row.attempts, row.queue, row.reason, row.at_ms, row.length, row.envelope }, '\t')
end
-- file: parts/receipt.lua

-- What is known of an id: the one rule by which settle, park and lookup all judge. It is what keeps an id from
-- spending twice, so it stands here once. A copy of this table is in ARCHITECTURE.md; a test takes each row
-- through each of the three scripts.
--
-- Where a receipt lives follows from the id and the head's two floors alone, never from a clock:
--   id                                         written to  read from
--   timeless                                   kept        kept
--   timed, at or above floor_highest           its bucket  its bucket
--   timed, between the floor and floor_highest its bucket  its bucket, then kept
--   timed, below the floor                     kept        kept
-- Below a floor that was lowered again the receipts of what executed meanwhile are in kept: hence the third row.
--
-- What is known, the first that holds, and what it answers to a request:
--   known                                      the same request             another request
--   a receipt                                  replayed:<code>:<seq>        id_mismatch:<seq>
--   no receipt, an open hold                   replayed:<state>:<seq>       id_mismatch:<seq>
--   neither, a parked row                      may execute, once: the row   id_mismatch:0, the row stays
--                                              goes with the decision
--   none of them, below the floor              id_expired                   id_expired
--   none of them, at or above the floor        may execute                  may execute
--   a receipt, hold or row that cannot be read corrupt_state                corrupt_state
-- A hold outlives its receipt only below the floor, and only for a payout. No other request of its id gets past
-- the receipt, nor below the floor past the rule for ids without a row: so only who asks for a payout, or looks
-- an id up, needs to read it.
-- gives   place_of read_receipt CORRUPT_HOLD answer_from_known read_hold

-- `hour` is nil for a timeless id. Answers whether the id is below the floor, and whether kept is to be read
-- beside its bucket.
local function place_of(hour, floor, floor_highest)
  if not hour then return false, false end
  return hour < floor, hour >= floor and hour < floor_highest
end

-- A receipt's words: fingerprint, code and seq; and once something of it was given back, how much in all, and the seq of
-- the line that did so last. nil if it is damaged.
local function read_receipt(text)
  local fingerprint, code, seq = string.match(text, '^(%x+) ([%l_]+) (%d+)$')
  if fingerprint then return fingerprint, code, seq end
  return string.match(text, '^(%x+) ([%l_]+) (%d+) (%d+) (%d+)$')
end

-- What a receipt, or what stands for one, says to a request.
local function answer_of(known_fingerprint, code, seq, fingerprint)
  if known_fingerprint == fingerprint then return 'replayed:' .. code .. ':' .. seq, 'replayed' end
  return 'id_mismatch:' .. seq, 'mismatched'
end

-- Answers the answer to give and the counter that counts it; nil if the request may execute. `receipt` and `row`
-- are texts as they were stored, or false; `hold` is { fingerprint, state, seq }, CORRUPT_HOLD, or nil.
local CORRUPT_HOLD = {}
local function answer_from_known(receipt, hold, row, below_floor, fingerprint)
  if receipt then
    local known_fingerprint, code, seq = read_receipt(receipt)
    if not known_fingerprint then return 'corrupt_state' end
    return answer_of(known_fingerprint, code, seq, fingerprint)
  end
  if hold == CORRUPT_HOLD then return 'corrupt_state' end
  if hold then return answer_of(hold[1], hold[2], hold[3], fingerprint) end
  if row then
    local parked = read_parked(row)
    if not parked then return 'corrupt_state' end
    if parked.fingerprint ~= fingerprint then return 'id_mismatch:0', 'mismatched' end
    return nil
  end
  if below_floor then return 'id_expired', 'expired' end
end

-- The hold of an id, as answer_from_known takes it.
local function read_hold(key)
  local fields = redis.pcall('HMGET', key, 'fingerprint', 'state', 'seq')
  if fields.err then return CORRUPT_HOLD end
  if not (fields[1] or fields[2] or fields[3]) and redis.call('EXISTS', key) == 0 then return nil end
  if not (fields[1] and fields[2] and integer(fields[3])) or not string.match(fields[1], '^%x+$') then
    return CORRUPT_HOLD
  end
  return fields
end
-- file: lookup.lua
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
