
-- First pass: read everything that is needed in as few commands as there are keys, then decide in order.
-- What is the same for a whole run is looked up once: each step of Lua costs, and these loops are the most of it.
local runs = {}
local at = RUNS_FIRST
while ARGV[at] do
  local kind_name, bucket, count = ARGV[at], bucket_at(ARGV[at + 1]), integer(ARGV[at + 2])
  local kind = kinds[kind_name]
  if not kind or not count then return refuse('corrupt_partition', 'call: no run of ' .. kind_name) end
  local first, width = at + 3, COMMON_FIELDS + kind.fields
  local last = first + (count - 1) * width
  local ids = bucket.ids
  for job = first, last, width do ids[#ids + 1] = ARGV[job] end
  if kind.gather then kind.gather(first + COMMON_FIELDS, last + COMMON_FIELDS, width) end
  runs[#runs + 1] = { kind_name = kind_name, kind = kind, bucket = bucket, first = first, last = last, width = width }
  at = last + width
end

for _, bucket in ipairs(buckets) do
  local problem
  if bucket.reads_kept then
    problem = fetch_into(bucket.in_kept, kept_key, bucket.ids)
    for id, receipt in pairs(bucket.in_kept) do receipt_of[id] = receipt end
  end
  problem = problem or fetch_into(receipt_of, bucket.key, bucket.ids)
  if problem then return refuse('corrupt_partition', 'receipts: ' .. problem) end
end
local parked_count = pcall_redis('HLEN', parked_key)
if type(parked_count) ~= 'number' then return refuse('corrupt_partition', 'parked: ' .. parked_count.err) end
if parked_count > 0 then
  for _, bucket in ipairs(buckets) do fetch_into(parked_row_of, parked_key, bucket.ids) end
  local problem = wrong_type('ZCARD', scheduled_key) or wrong_type('ZCARD', dead_key)
  if problem then return refuse('corrupt_partition', problem) end
end

local answers = {}     -- one for each job, in order
local lines = {}       -- journal lines of what this call decided
local undecided = {}   -- positions of the jobs that stay in the row
local unparked = {}    -- decided ids that were parked
local overtaken_ids = {}   -- of these, id and fingerprint of those that waited in scheduled or dead
local settled_count = 0

-- Only the same request gets here: its parked copy goes with the decision. What waited in scheduled or dead is
-- named beside the journal lines, by its row and not by the request, so that an audit sees whose it was.
local function unpark(id)
  unparked[#unparked + 1] = id
  local row = read_row(parked_row_of[id])
  if row and row.state ~= 'queued' then overtaken_ids[#overtaken_ids + 1] = id .. '\t' .. row.fingerprint end
end

-- Of a row that is a range the caller has read all; what serves no queue has no row.
local owns_all = row == nil or (row and not row_ids)
for _, run in ipairs(runs) do
  local kind_name, bucket, kind = run.kind_name, run.bucket, run.kind
  local step, decide, hold_of = kind.step, how == 'cancel' and cancel_of(kind_name) or kind.decide, kind.hold_of
  local below_floor, from_future = bucket.below_floor, bucket.from_future
  -- Where nothing is parked and the bucket is current, an id without a receipt may execute.
  local receipt_is_all = not (hold_of or below_floor or parked_count > 0)
  for job = run.first, run.last, run.width do
    local id, fingerprint, fields = ARGV[job], ARGV[job + 1], job + COMMON_FIELDS
    local is_owned = owns_all or (row and row_ids[entry_ids[#answers + 1]])
    local answer, settled
    if not step then
      local receipt = receipt_of[id]
      if receipt or not (receipt_is_all and is_owned) then
        local counter
        answer, counter = answer_from_known(receipt, not receipt and hold_of and hold_of(fields),
          parked_row_of[id], below_floor, fingerprint)
        if counter and is_owned then
          answered[counter] = answered[counter] + 1
          settled = true
        end
      end
      if from_future and not answer then answer = 'id_from_future' end
    end
    if not is_owned and not answer then answer = 'not_owner' end
    if not answer then
      local request, after, job_fingerprint
      answer, request, after, job_fingerprint = decide(fields, id, fingerprint)
      if request then
        settled = true
        lines[#lines + 1] = id .. '\t' .. kind_name .. '\t' .. answer .. '\t' .. request .. '\t'
          .. (after and digits(after) or '')
        remember(job_fingerprint and home_of(bucket, id) or bucket, id, job_fingerprint or fingerprint, answer)
        seq = seq + 1
        next_seq = digits(seq + 1)
        if not step and parked_row_of[id] then unpark(id) end
      end
    end
    if settled then
      settled_count = settled_count + 1
    elseif row and is_owned then
      undecided[#undecided + 1] = #answers + 1
    end
    answers[#answers + 1] = answer
  end
end

-- What is left of the row: what the caller leaves, and what could not be decided.
local left, leaving, vanishing
if row then
  local stay = ids_of(left_text)
  local named = #answers + #stay
  local named_set
  if row_ids then
    named_set = set_of(stay)
    for _, entry in ipairs(entry_ids) do named_set[entry] = true end
  end
  if #undecided > 0 then
    entry_ids = entry_ids or ids_of(entries_text)
    if #entry_ids ~= #answers then return refuse('corrupt_partition', 'call: not one entry for each job') end
    for _, position in ipairs(undecided) do stay[#stay + 1] = entry_ids[position] end
  end
  left, leaving, vanishing = left_of(row, row_key, named, named_set, stay)
  if not left then
    return refuse('corrupt_partition', 'in flight: row ' .. row_key .. ' has ' .. digits(row.count) .. ' entries, not ' .. named)
  end
end
local lacked = lacks_right({
  { 'XADD', journal_key, '*', 'x', 'x' }, { 'HSET', head_key, 'x', 'x' }, { 'ZADD', resources_key, '0', 'x' },
  { 'HDEL', parked_key, 'x' }, { 'ZREM', scheduled_key, 'x' }, { 'HDEL', in_flight_key, 'x' },
  { 'HSET', in_flight_key, 'x', 'x' }, { 'XTRIM', queue_key, 'MINID', '0' },
})
if lacked then return lacked end
if left and type(pcall_redis('XLEN', queue_key)) ~= 'number' then return refuse('corrupt_partition', 'queue: no stream') end
