
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
  for job = first, last, width do ids[#ids + 1] = ARGV[job + 1] end
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
local entries = {}     -- stream entries to acknowledge
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

for _, run in ipairs(runs) do
  local kind_name, bucket, kind = run.kind_name, run.bucket, run.kind
  local step, decide, hold_of = kind.step, kind.decide, kind.hold_of
  local below_floor, from_future = bucket.below_floor, bucket.from_future
  -- Where nothing is parked and the bucket is current, an id without a receipt may execute.
  local receipt_is_all = not (hold_of or below_floor or parked_count > 0)
  for job = run.first, run.last, run.width do
    local entry, id, fingerprint, fields = ARGV[job], ARGV[job + 1], ARGV[job + 2], job + COMMON_FIELDS
    local answer, settled
    if not step then
      local receipt = receipt_of[id]
      if receipt or not receipt_is_all then
        local counter
        answer, counter = answer_from_known(receipt, not receipt and hold_of and hold_of(fields),
          parked_row_of[id], below_floor, fingerprint)
        if counter then
          answered[counter] = answered[counter] + 1
          settled = true
        end
      end
      if from_future and not answer then answer = 'id_from_future' end
    end
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
      if entry ~= '' then entries[#entries + 1] = entry end
    end
    answers[#answers + 1] = answer
  end
end

-- XINFO answers a flat list of names and values.
local function named(reply)
  local fields = {}
  for i = 1, #reply, 2 do fields[reply[i]] = reply[i + 1] end
  return fields
end

local function group_info()
  for _, reply in ipairs(call('XINFO', 'GROUPS', queue_key)) do
    local group = named(reply)
    if group.name == GROUP then return group end
  end
end

-- Whether one old pending entry keeps so many settled ones from being trimmed that they are deleted singly.
local function is_pinned()
  local length = call('XLEN', queue_key)
  if length <= PINNED_MAX then return false end
  local added = named(call('XINFO', 'STREAM', queue_key))['entries-added']
  return length - (added - queue_acked) > PINNED_MAX
end

local delete_singly = false
if #entries > 0 then
  -- A wrong type or a missing group must show before the first write.
  local probe = pcall_redis('XPENDING', queue_key, GROUP, '-', '+', 1)
  if probe.err then return refuse('corrupt_partition', 'queue: ' .. probe.err) end
  delete_singly = is_pinned()
end
local lacked = lacks_right({
  { 'XADD', journal_key, '*', 'x', 'x' }, { 'HSET', head_key, 'x', 'x' }, { 'ZADD', resources_key, '0', 'x' },
  { 'HDEL', parked_key, 'x' }, { 'ZREM', scheduled_key, 'x' }, { 'XACK', queue_key, GROUP, '0-0' },
  { 'XDEL', queue_key, '0-0' }, { 'XTRIM', queue_key, 'MINID', '0' },
})
if lacked then return lacked end
