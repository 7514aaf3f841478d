
-- Receipts. One lookup rule for every id: a timed id at or above the floor has its receipt in the bucket of
-- its own hour; everything else has it in kept. Where a receipt lives follows from the id and the floor
-- alone, never from a clock, so no id has a window in which it could spend twice.
local receipt_of = {}        -- id -> '<fingerprint> <code> <seq>', of earlier calls and of this one
local parked_row_of = {}     -- id -> row, of ids that left their stream undecided
local buckets = {}           -- as a list, and by the position that jobs name

-- What holds for every id of a bucket.
local function bucket_at(position)
  local bucket = buckets[position]
  if bucket then return bucket end
  local key, hour = key_at(position), integer(name_at(position))
  local below_floor = hour and hour < floor
  bucket = {
    key = (hour and not below_floor) and key or kept_key,
    below_floor = below_floor,
    from_future = hour and hour * 3600000 > now_ms + FUTURE_MS_MAX,
    ids = {},      -- to look up
    fresh = {},    -- { id, receipt, … } to write
  }
  buckets[position] = bucket
  buckets[#buckets + 1] = bucket
  return bucket
end

local function fetch_into(target, key, ids)
  local rows = pcall_redis('HMGET', key, unpack(ids))
  if rows.err then return rows.err end
  for i = 1, #ids do
    if rows[i] then target[ids[i]] = rows[i] end
  end
end

-- What an id's receipt says: the answer to give.
local function answer_from_receipt(id, fingerprint)
  local stored_fingerprint, code, stored_seq = match(receipt_of[id], '^(%x+) ([%l_]+) (%d+)$')
  if not stored_fingerprint then return 'corrupt_state' end
  if stored_fingerprint == fingerprint then
    replayed = replayed + 1
    return 'replayed:' .. code .. ':' .. stored_seq
  end
  mismatched = mismatched + 1
  return 'id_mismatch:' .. stored_seq
end

-- Below the floor only an id that is known to be undecided may execute: it is parked with the same request.
local function answer_below_floor(id, fingerprint)
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

local function remember(bucket, id, fingerprint, code)
  local receipt, fresh = fingerprint .. ' ' .. code .. ' ' .. next_seq, bucket.fresh
  local last = #fresh
  receipt_of[id] = receipt
  fresh[last + 1], fresh[last + 2] = id, receipt
end
