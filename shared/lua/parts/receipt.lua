
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
