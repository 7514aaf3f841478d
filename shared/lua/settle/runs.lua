
-- First pass: what is needed is read in as few commands as there are keys, then each job is decided in its order.
-- What is the same for a whole run is looked up once.
-- gives   unparked overtaken_ids read_runs decide_jobs
local runs = {}
local unparked = {}        -- decided ids that were parked
local overtaken_ids = {}   -- of these, id and fingerprint of those that waited in scheduled or dead

-- The kinds of inventories are a group of their own, and so are those of cases: a sale makes no payout's, and the other
-- way about.
local CASES = ' case_open case_amend decide '
local ORDERS = ' purchase reserve commit release extend return exchange expire '

local function make_kinds(kind_name)
  if match(kind_name, '^inventory_') or string.find(ORDERS, ' ' .. kind_name .. ' ', 1, true) then inventory_kinds() end
  if string.find(CASES, ' ' .. kind_name .. ' ', 1, true) then case_kinds() end
  if not kinds[kind_name] or how == 'cancel' then rare_kinds() end
end

local function read_runs()
  local at = 1
  while jobs[at] do
    local kind_name, bucket, count = jobs[at], bucket_at(jobs[at + 1]), jobs[at + 2]
    if not kinds[kind_name] or (how == 'cancel' and not cancel_of) then make_kinds(kind_name) end
    local kind = kinds[kind_name]
    if not kind then return refuse('corrupt_partition', 'call: no run of ' .. kind_name) end
    local first, width = at + 3, COMMON_FIELDS + kind.fields
    local last = first + (count - 1) * width
    local ids, n = bucket.ids, #bucket.ids
    for job = first, last, width do
      n = n + 1
      ids[n] = jobs[job]
    end
    if kind.gather then kind.gather(first + COMMON_FIELDS, last + COMMON_FIELDS, width) end
    runs[#runs + 1] = { kind_name = kind_name, kind = kind, bucket = bucket, first = first, last = last, width = width }
    at = last + width
  end
end

-- Only the same request gets here: its parked copy goes with the decision. What waited in scheduled or dead is
-- named beside the journal lines, by its row and not by the request, so that an audit sees whose it was.
local function unpark(id)
  unparked[#unparked + 1] = id
  local parked = read_parked(parked_row_of[id])
  if parked and parked.state ~= 'queued' then overtaken_ids[#overtaken_ids + 1] = id .. '\t' .. parked.fingerprint end
end

-- What is answered without deciding: what is known of the id, or why its job may not be decided; nil if it may be. And
-- whether its entry stays in the row.
local function answer_undecided(kind, bucket, is_owned, fields, id, fingerprint)
  if not kind.step then
    local receipt = receipt_of[id]
    local hold = not receipt and kind.hold_of and kind.hold_of(fields)
    local known, counter = answer_from_known(receipt, hold, parked_row_of[id], bucket.below_floor, fingerprint)
    if counter and is_owned then counts[counter] = counts[counter] + 1 end
    if known then return known, is_owned and not counter end
    if bucket.from_future then return 'id_from_future', is_owned end
  end
  if not is_owned then return 'not_owner', false end
end

local function decide_run(run)
  local kind_between_tabs, kind, bucket = '\t' .. run.kind_name .. '\t', run.kind, run.bucket
  local decide = how == 'cancel' and cancel_of(run.kind_name) or kind.decide
  local seq, jobs, n, line = head.seq, jobs, #answers, #lines
  -- Of a row that is a range the caller has read all; what serves no queue has no row.
  local owns_all = row == nil or (row and not row_ids)
  -- Where this holds, whatever has no receipt is decided.
  local is_plain = owns_all and parked_count == 0
    and not (kind.step or kind.hold_of or bucket.below_floor or bucket.from_future)
  for job = run.first, run.last, run.width do
    n = n + 1
    local id, fingerprint, fields = jobs[job], jobs[job + 1], job + COMMON_FIELDS
    local answer, stays
    if receipt_of[id] or not is_plain then
      local is_owned = owns_all or (row and row_ids[entry_ids[n]])
      answer, stays = answer_undecided(kind, bucket, is_owned, fields, id, fingerprint)
    end
    if not answer then
      local code, request, after, after_last, job_fingerprint = decide(fields, seq + 1, id, fingerprint)
      answer, stays = code, not request
      if request then
        seq, line = seq + 1, line + 1
        lines[line] = id .. kind_between_tabs .. code .. '\t' .. request .. '\t' .. (after or '') .. (after_last or '')
        local seq_first, seq_last = halves(seq)
        local receipt = (job_fingerprint or fingerprint) .. ' ' .. code .. ' ' .. seq_first .. seq_last
        local fresh = (job_fingerprint and home_of(bucket, id) or bucket).fresh
        local last = #fresh
        receipt_of[id], fresh[last + 1], fresh[last + 2] = receipt, id, receipt
        if parked_row_of[id] and not kind.step then unpark(id) end
      end
    end
    if stays and row then undecided[#undecided + 1] = n end
    answers[n] = answer
  end
  head.seq = seq
end

local function decide_jobs()
  for _, run in ipairs(runs) do decide_run(run) end
end
