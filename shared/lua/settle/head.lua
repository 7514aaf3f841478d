
-- The head: the partition's truth. Anything in it that cannot be refuses the whole call.
local function refuse(status, what)
  return { nonce, status, what }
end

local queue_name = match(queue_key, '[^:]*$')
local queue_counter, rows_field = queue_acked_field(queue_name), queue_rows_field(queue_name)
local head = pcall_redis('HMGET', head_key, 'format', 'receipts_floor', 'seq', 'hash', 'frozen',
  'acked', 'replayed', 'mismatched', 'expired', 'overtaken', queue_counter, 'floor_highest', rows_field,
  'vanished', queue_taken_field(queue_name))
if head.err then return refuse('corrupt_partition', 'head: ' .. head.err) end
if not head[1] and call('EXISTS', head_key) == 0 then return refuse('uninitialised', 'no head') end
if head[1] ~= FORMAT then return refuse('corrupt_partition', 'head: ' .. other_format(head[1])) end
if head[5] ~= '0' then return refuse('partition_frozen', tostring(head[5])) end

local floor, seq, chain = integer(head[2]), integer(head[3]), head[4]
local floor_highest = integer(head[12])
local acked, overtaken = integer(head[6]), integer(head[10])
-- Answers that leave no line.
local answered = { replayed = integer(head[7]), mismatched = integer(head[8]), expired = integer(head[9]) }
local queue_acked = integer(head[11] or '0')
local rows, vanished, taken = integer(head[13] or '0'), integer(head[14] or '0'), head[15] or '0-0'
if not (floor and floor_highest and seq and chain and acked and answered.replayed and answered.mismatched and answered.expired
    and overtaken and queue_acked and rows and vanished and match(taken, '^%d+%-%d+$'))
    or math.max(seq, acked, answered.replayed, answered.mismatched, answered.expired, overtaken, queue_acked, vanished)
      > COUNTER_MAX then
  return refuse('corrupt_partition', 'head: a counter is missing or no number')
end
local seq_before = seq

-- The row that the jobs come from. A job is decided only if its entry lies in it, under this token: what lies elsewhere
-- by now is somebody else's, or was discarded, and is answered by what is known of its id.
local row, row_ids, entry_ids
if row_key ~= '' then
  local problem
  row, problem = row_of(in_flight_key, rows, row_key, token)
  if problem then return refuse('corrupt_partition', problem) end
  -- A range is all that the caller has read, and it knows it; of a row that is a list each entry is looked for.
  if row and row.ids ~= '' then row_ids, entry_ids = set_of(ids_of(row.ids)), ids_of(entries_text) end
end

local refused_missing = 0   -- jobs refused because too many were dead already
