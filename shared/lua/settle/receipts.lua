
-- What is known of the ids of this batch: read by bucket, judged by the rule in parts/receipt.lua.
-- gives   receipt_of parked_row_of parked_count bucket_at fetch_into read_receipts home_of write_receipts
local receipt_of = {}        -- id -> '<fingerprint> <code> <seq>', of earlier calls and of this one
local parked_row_of = {}     -- id -> row, of ids that left their stream undecided
local parked_count           -- how many ids did
local buckets = {}           -- as a list, and by the position that jobs name under `at`
buckets.at = {}

local FUTURE_MS_MAX = 86400000

-- What holds for every id of a bucket.
local function bucket_at(position)
  local bucket = buckets.at[position]
  if bucket then return bucket end
  local hour = position ~= KEPT_POSITION and integer(name_at(position)) or nil
  local below_floor, reads_kept = place_of(hour, head.floor, head.floor_highest)
  bucket = {
    key = (hour and not below_floor) and KEYS[position] or kept_key,
    below_floor = below_floor,
    reads_kept = reads_kept,
    from_future = hour and hour * 3600000 > now_ms + FUTURE_MS_MAX,
    ids = {},      -- to look up
    fresh = {},    -- { id, receipt, … } to write
    in_kept = {},  -- of a bucket that is read beside kept: the ids whose receipt is there
  }
  buckets.at[position] = bucket
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

-- Reads the receipts and the parked rows of all ids.
local function read_receipts()
  for _, bucket in ipairs(buckets) do
    local problem
    if bucket.reads_kept then
      problem = fetch_into(bucket.in_kept, kept_key, bucket.ids)
      for id, receipt in pairs(bucket.in_kept) do receipt_of[id] = receipt end
    end
    problem = problem or fetch_into(receipt_of, bucket.key, bucket.ids)
    if problem then return refuse('corrupt_partition', 'receipts: ' .. problem) end
  end
  parked_count = pcall_redis('HLEN', parked_key)
  if type(parked_count) ~= 'number' then return refuse('corrupt_partition', 'parked: ' .. parked_count.err) end
  if parked_count > 0 then
    for _, bucket in ipairs(buckets) do fetch_into(parked_row_of, parked_key, bucket.ids) end
    local problem = wrong_type('ZCARD', scheduled_key) or wrong_type('ZCARD', dead_key)
    if problem then return refuse('corrupt_partition', problem) end
  end
end

-- Where the receipt of a payout is written anew: where it is.
local function home_of(bucket, id)
  return bucket.in_kept[id] and bucket_at(KEPT_POSITION) or bucket
end

local function write_receipts()
  for _, bucket in ipairs(buckets) do chunked('HSET', bucket.key, bucket.fresh) end
end
