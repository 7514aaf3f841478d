
-- The original: the job that a refund or a reversal names. Its receipt says what came of it and how much of it was given
-- back, so of two that ask for the same the second sees what the first took; the journal line that the receipt names says
-- whose it was, and how much.
-- gives   gather_originals load_original give_back
local function gather_originals(first, last, width, offset)
  for at = first + offset, last + offset, width do
    local ids = bucket_at(jobs[at]).ids
    ids[#ids + 1] = jobs[at + 1]
  end
end

-- The journal line of this seq, of this call or of an earlier one; nil if there is none.
local function line_of(seq)
  local line = lines[seq - head.seq_before]
  if line then return line end
  local entries = pcall_redis('XRANGE', journal_key, digits(seq) .. '-0', '+', 'COUNT', 1)
  local entry = not entries.err and entries[1]
  local seq_last = entry and integer(match(entry[1], '^(%d+)%-0$'))
  if not seq_last then return nil end
  local of_entry = {}
  for i = 1, #entry[2], 2 do
    if entry[2][i] == 'lines' then
      for text in string.gmatch(entry[2][i + 1], '[^\n]+') do of_entry[#of_entry + 1] = text end
    end
  end
  return of_entry[#of_entry - (seq_last - seq)]
end

-- Answers the original whose receipts' position and id are at `at`; or nil and the code that says why there is none.
local function load_original(at)
  local bucket, id = bucket_at(jobs[at]), jobs[at + 1]
  local receipt = receipt_of[id]
  if not receipt then return nil, bucket.below_floor and 'original_expired' or 'original_not_found' end
  local fingerprint, code, seq, given_back = read_receipt(receipt)
  local line = fingerprint and line_of(integer(seq))
  if not line then return nil, 'corrupt_state' end
  local words = {}
  for word in string.gmatch(line .. '\t', '([^\t]*)\t') do words[#words + 1] = word end
  if words[1] ~= id or words[3] ~= code then return nil, 'corrupt_state' end
  return { id = id, bucket = bucket, code = code, seq = seq, words = words, given_back = integer(given_back or '0'),
    receipt = concat({ fingerprint, code, seq }, ' ') }
end

-- Notes in its receipt what the line of this seq gives back of it.
local function give_back(original, amount, seq)
  original.given_back = original.given_back + amount
  local receipt = concat({ original.receipt, digits(original.given_back), digits(seq) }, ' ')
  local fresh = home_of(original.bucket, original.id).fresh
  receipt_of[original.id], fresh[#fresh + 1], fresh[#fresh + 2] = receipt, original.id, receipt
end
