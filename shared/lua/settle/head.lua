
-- The head: the partition's truth. Anything in it that cannot be refuses the whole call.
local function refuse(status, what)
  return { nonce, status, what }
end

local queue_counter = queue_acked_field(match(queue_key, '[^:]*$'))
local head = pcall_redis('HMGET', head_key, 'format', 'receipts_floor', 'seq', 'hash', 'frozen',
  'acked', 'replayed', 'mismatched', 'expired', 'overtaken', queue_counter, 'floor_highest')
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
if not (floor and floor_highest and seq and chain and acked and answered.replayed and answered.mismatched and answered.expired
    and overtaken and queue_acked)
    or math.max(seq, acked, answered.replayed, answered.mismatched, answered.expired, overtaken, queue_acked)
      > COUNTER_MAX then
  return refuse('corrupt_partition', 'head: a counter is missing or no number')
end
local seq_before, acked_before = seq, acked
local refused_missing = 0   -- jobs refused because too many were dead already
