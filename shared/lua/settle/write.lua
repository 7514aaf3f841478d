
-- Second pass. Everything that could stop it half-way is asked for first; redis takes back nothing of a script.
-- gives   lacks_rights append_journal write_effects
local function lacks_rights()
  return lacks_right('XADD', journal_key, '*', 'x', 'x') or lacks_right('HSET', head_key, 'x', 'x')
    or lacks_right('ZADD', resources_key, '0', 'x') or lacks_right('HDEL', parked_key, 'x')
    or lacks_right('ZREM', scheduled_key, 'x') or lacks_right('HDEL', in_flight_key, 'x')
    or lacks_right('HSET', in_flight_key, 'x', 'x') or lacks_right('XTRIM', queue_key, 'MINID', '0')
    or lacks_account_rights()
end

-- The journal comes first: XADD is the one write that can fail (an entry of someone else with a higher id, a foreign
-- type), and as long as it is the first, its failure leaves nothing behind. That is why it alone is called by pcall: the
-- call returns at once, having done nothing.
local function append_journal()
  if #lines == 0 then return nil end
  local text, overtaken_text = concat(lines, '\n'), concat(overtaken_ids, '\n')
  local seq, at_ms = digits(head.seq), digits(now_ms)
  head.chain = redis.sha1hex(concat({ head.chain, seq, at_ms, by, redis.sha1hex(text), overtaken_text }, '\n'))
  local words = { journal_key, seq .. '-0', 'at_ms', at_ms, 'by', by, 'lines', text, 'hash', head.chain }
  if overtaken_text ~= '' then
    words[#words + 1] = 'overtaken'
    words[#words + 1] = overtaken_text
  end
  -- A journal that had entries and is gone was lost; it is not begun again.
  if head.seq_before > 0 then table.insert(words, 2, 'NOMKSTREAM') end
  local added = pcall_redis('XADD', unpack(words))
  if not added then return refuse('corrupt_partition', 'journal: there is none') end
  if added.err then return refuse('corrupt_partition', 'journal: ' .. added.err) end
end

-- A job that was decided while it was parked: another copy of it got here first.
local function remove_parked(id)
  call('HDEL', parked_key, id)
  local was_dead = call('ZREM', dead_key, id)
  counts.overtaken = counts.overtaken + call('ZREM', scheduled_key, id) + was_dead
  if was_dead == 1 then change_head_number(head_key, dead_field(read_parked(parked_row_of[id])), -1) end
end

local function write_effects()
  for _, write in ipairs(writers) do write() end
  write_receipts()
  for _, id in ipairs(unparked) do remove_parked(id) end
end
