
-- Receipts of the ids of this batch: read by bucket, judged by the rule in parts/receipt.lua.
local receipt_of = {}        -- id -> '<fingerprint> <code> <seq>', of earlier calls and of this one
local parked_row_of = {}     -- id -> row, of ids that left their stream undecided
local buckets = {}           -- as a list, and by the position that jobs name

-- What holds for every id of a bucket.
local function bucket_at(position)
  local bucket = buckets[position]
  if bucket then return bucket end
  local key, hour = key_at(position), position ~= KEPT_POSITION and integer(name_at(position)) or nil
  local below_floor, reads_kept = place_of(hour, floor, floor_highest)
  bucket = {
    key = (hour and not below_floor) and key or kept_key,
    below_floor = below_floor,
    reads_kept = reads_kept,
    from_future = hour and hour * 3600000 > now_ms + FUTURE_MS_MAX,
    ids = {},      -- to look up
    fresh = {},    -- { id, receipt, … } to write
    in_kept = {},  -- of a bucket that is read beside kept: the ids whose receipt is there
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

-- Where the receipt of a payout is written anew: where it is.
local function home_of(bucket, id)
  return bucket.in_kept[id] and bucket_at(KEPT_POSITION) or bucket
end

local function remember(bucket, id, fingerprint, code)
  local receipt, fresh = fingerprint .. ' ' .. code .. ' ' .. next_seq, bucket.fresh
  local last = #fresh
  receipt_of[id] = receipt
  fresh[last + 1], fresh[last + 2] = id, receipt
end
