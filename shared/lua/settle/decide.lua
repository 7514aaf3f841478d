
-- First pass: read everything that is needed in as few commands as there are keys, then decide in order.
local jobs = {}        -- where each job begins in ARGV
local at = JOBS_FIRST
while ARGV[at] do
  local kind = kinds[ARGV[at]]
  if not kind then return refuse('corrupt_partition', 'call: no kind ' .. ARGV[at]) end
  jobs[#jobs + 1] = at
  local ids = bucket_at(ARGV[at + 4]).ids
  ids[#ids + 1] = ARGV[at + 2]
  if kind.gather then kind.gather(at + COMMON_FIELDS) end
  at = at + COMMON_FIELDS + kind.fields
end

for _, bucket in ipairs(buckets) do
  local problem = fetch_into(receipt_of, bucket.key, bucket.ids)
  if problem then return refuse('corrupt_partition', 'receipts: ' .. problem) end
end
local parked_count = pcall_redis('HLEN', parked_key)
if type(parked_count) ~= 'number' then return refuse('corrupt_partition', 'parked: ' .. parked_count.err) end
if parked_count > 0 then
  for _, bucket in ipairs(buckets) do fetch_into(parked_row_of, parked_key, bucket.ids) end
  local problem = wrong_type('ZCARD', scheduled_key) or wrong_type('ZCARD', dead_key)
  if problem then return refuse('corrupt_partition', problem) end
end

-- What stands in the way of deciding a job: the answer to give, or nil.
local function answer_before(kind, first, id, fingerprint, bucket)
  if kind.step then return nil end
  return receipt_of[id] and answer_from_receipt(id, fingerprint)
    or kind.answer_from_hold and kind.answer_from_hold(first + COMMON_FIELDS, fingerprint)
    or bucket.below_floor and answer_below_floor(id, fingerprint)
    or nil
end

local answers = {}     -- one for each job, in order
local lines = {}       -- journal lines of what this call decided
local entries = {}     -- stream entries to acknowledge
local unparked = {}    -- decided ids that were parked
local settled_count = 0
for i = 1, #jobs do
  local first = jobs[i]
  local kind_name, entry, id, fingerprint = ARGV[first], ARGV[first + 1], ARGV[first + 2], ARGV[first + 3]
  local kind, bucket = kinds[kind_name], buckets[ARGV[first + 4]]
  local answer = answer_before(kind, first, id, fingerprint, bucket)
  local settled = answer and answer ~= 'corrupt_state'
  if not answer and bucket.from_future and not kind.step then answer = 'id_from_future' end
  if not answer then
    local request, after, job_fingerprint
    answer, request, after, job_fingerprint = kind.decide(first + COMMON_FIELDS, id, fingerprint)
    if request then
      settled = true
      seq = seq + 1
      lines[#lines + 1] = id .. '\t' .. kind_name .. '\t' .. answer .. '\t' .. request .. '\t'
        .. (after and digits(after) or '')
      remember(bucket, id, job_fingerprint or fingerprint, answer)
      if parked_row_of[id] then unparked[#unparked + 1] = id end
    end
  end
  if settled then
    settled_count = settled_count + 1
    if entry ~= '' then entries[#entries + 1] = entry end
  end
  answers[i] = answer
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
