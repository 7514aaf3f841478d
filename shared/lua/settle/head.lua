
-- The head: the partition's truth. Anything in it that cannot be refuses the whole call.
-- gives   head QUEUE_ACKED ROWS counts read_head write_head
local head   -- floor, floor_highest, seq, seq_before, chain, taken, and each counter as it was
local QUEUE_ACKED, ROWS = queue_field('acked', queue_name), queue_field('rows', queue_name)
-- What this call adds to each counter. The first few are not in a head before they count something.
local COUNTERS, COUNTERS_LATER = { QUEUE_ACKED, ROWS, 'vanished', 'dead_refused', 'acked', 'replayed', 'mismatched',
  'expired', 'overtaken' }, 4
local counts = { [QUEUE_ACKED] = 0, [ROWS] = 0, vanished = 0, dead_refused = 0, acked = 0, replayed = 0, mismatched = 0,
  expired = 0, overtaken = 0 }

local function read_head()
  local fields = pcall_redis('HMGET', head_key, 'format', 'frozen', 'receipts_floor', 'floor_highest', 'seq', 'hash',
    queue_field('taken', queue_name), unpack(COUNTERS))
  if fields.err then return refuse('corrupt_partition', 'head: ' .. fields.err) end
  local status, what = head_problem(head_key, fields[1])
  if status then return refuse(status, what) end
  if fields[2] ~= '0' then return refuse('partition_frozen', tostring(fields[2])) end

  local seq = integer(fields[5])
  head = { floor = integer(fields[3]), floor_highest = integer(fields[4]), seq = seq, seq_before = seq,
    chain = fields[6], taken = fields[7] or '0-0' }
  if not (head.floor and head.floor_highest and seq and seq <= COUNTER_MAX and head.chain
      and match(head.taken, '^%d+%-%d+$')) then
    return refuse('corrupt_partition', 'head: a field is missing or no number')
  end
  for i, name in ipairs(COUNTERS) do
    local number = integer(fields[i + 7] or (i <= COUNTERS_LATER and '0'))
    if not number or number > COUNTER_MAX then
      return refuse('corrupt_partition', 'head: ' .. name .. ' is missing or no number')
    end
    head[name] = number
  end
end

local function write_head()
  local words = { head_key }
  if head.seq > head.seq_before then words = { head_key, 'seq', digits(head.seq), 'hash', head.chain } end
  for _, name in ipairs(COUNTERS) do
    if counts[name] ~= 0 then
      words[#words + 1] = name
      words[#words + 1] = digits(head[name] + counts[name])
    end
  end
  if #words > 1 then call('HSET', unpack(words)) end
end
