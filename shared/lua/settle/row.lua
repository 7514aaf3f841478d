
-- The row that the jobs come from. A job is decided only if its entry lies in it, under this token: what lies elsewhere
-- by now is somebody else's, or was discarded, and is answered by what is known of its id.
-- gives   row row_ids entry_ids undecided find_row leave_row write_row
local row        -- nil for what serves no queue, which has none; false if it is not the caller's, or not any more
local row_ids    -- of a row that is a list: its entries, as a set
local entry_ids  -- the jobs' entries, where each is looked for
local undecided = {}   -- positions of the jobs that stay in it
local left, leaving, vanishing   -- what is left of the row; how many leave it, and how many of these have vanished

local TRIM_EVERY = 512   -- settled entries: a stream is trimmed by whole nodes anyway

local function find_row()
  if row_key == '' then return nil end
  local problem
  row, problem = row_of(in_flight_key, head[ROWS], row_key, token)
  if problem then return refuse('corrupt_partition', problem) end
  -- A range is all that the caller has read, and it knows it; of a row that is a list each entry is looked for.
  if row and row.ids ~= '' then row_ids, entry_ids = set_of(ids_of(row.ids)), ids_of(entries_text) end
end

-- Finds what is left of the row: what the caller leaves, what could not be decided, and what the caller does not know.
-- The entries of the jobs are read only where something stays, or may be unknown.
local function leave_row()
  if not row then return nil end
  if type(pcall_redis('XLEN', queue_key)) ~= 'number' then return refuse('corrupt_partition', 'queue: no stream') end
  local stay = ids_of(left_text)
  local named, named_set = #answers + #stay, nil
  local is_whole = not row_ids and named >= row.count
  if #undecided > 0 or not is_whole then
    entry_ids = entry_ids or ids_of(entries_text)
    if #entry_ids ~= #answers then return refuse('corrupt_partition', 'call: not one entry for each job') end
  end
  if not is_whole then
    named_set = set_of(stay)
    for _, entry in ipairs(entry_ids) do named_set[entry] = true end
  end
  local unknown = unknown_of(queue_key, row, row_key, named, named_set)
  if not unknown then
    return refuse('corrupt_partition', 'in flight: row ' .. row_key .. ' has ' .. digits(row.count) .. ' entries, not ' .. named)
  end
  for _, position in ipairs(undecided) do stay[#stay + 1] = entry_ids[position] end
  for _, entry in ipairs(unknown) do stay[#stay + 1] = entry end
  left, leaving, vanishing = left_of(row, row_key, named + #unknown, named_set, stay)
end

local function write_row()
  if not left then return end
  counts[ROWS] = write_left(in_flight_key, row_key, row, left)
  counts.acked, counts[QUEUE_ACKED], counts.vanished = leaving, leaving, vanishing
  local acked = head[QUEUE_ACKED]
  if math.floor((acked + leaving) / TRIM_EVERY) > math.floor(acked / TRIM_EVERY) then
    local minimum = settled_below(in_flight_key, head.taken)
    if minimum then call('XTRIM', queue_key, 'MINID', '~', minimum) end
  end
end
