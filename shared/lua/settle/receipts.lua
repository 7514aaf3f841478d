
-- Receipts. One lookup rule for every id: a timed id at or above the floor has its receipt in the bucket of
-- its own hour; everything else has it in kept. Where a receipt lives follows from the id and the floor
-- alone, never from a clock, so no id has a window in which it could spend twice.
local receipt_of = {}        -- id -> '<fingerprint> <code> <seq>', of earlier calls and of this one
local parked_row_of = {}     -- id -> row, of ids that left their stream undecided
local fresh = {}             -- receipts key -> { id, receipt, … } to write

local function receipts_key(hour, bucket)
  if hour ~= '' and integer(hour) >= floor then return KEYS[integer(bucket)] end
  return kept_key
end

local function fetch_into(target, key, ids)
  local rows = pcall_redis('HMGET', key, unpack(ids))
  if rows.err then return rows.err end
  for i = 1, #ids do
    if rows[i] then target[ids[i]] = rows[i] end
  end
end

-- What the receipts say of an id: nil (undecided, go on), or the answer to give.
local function answer_from_receipt(id, fingerprint)
  local receipt = receipt_of[id]
  if not receipt then return nil end
  local stored_fingerprint, code, stored_seq = match(receipt, '^(%x+) ([%l_]+) (%d+)$')
  if not stored_fingerprint then return 'corrupt_state' end
  if stored_fingerprint == fingerprint then
    replayed = replayed + 1
    return 'replayed:' .. code .. ':' .. stored_seq
  end
  mismatched = mismatched + 1
  return 'id_mismatch:' .. stored_seq
end

-- Below the floor only an id that is known to be undecided may execute: it is parked with the same request.
local function answer_below_floor(id, fingerprint, hour)
  if hour == '' or integer(hour) >= floor then return nil end
  local row = parked_row_of[id]
  if not row then
    expired = expired + 1
    return 'id_expired'
  end
  local parked_fingerprint = match(row, '^%l+\t(%x+)\t')
  if not parked_fingerprint then return 'corrupt_state' end
  if parked_fingerprint ~= fingerprint then
    mismatched = mismatched + 1
    return 'id_mismatch:0'
  end
end

local function remember(key, id, fingerprint, code)
  local receipt = fingerprint .. ' ' .. code .. ' ' .. digits(seq)
  receipt_of[id] = receipt
  local list = fresh[key]
  if not list then
    list = {}
    fresh[key] = list
  end
  list[#list + 1] = id
  list[#list + 1] = receipt
end
