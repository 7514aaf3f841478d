
-- Second pass. The journal comes first: XADD is the one write that can fail (an entry of someone else with a
-- higher id, a foreign type), and as long as it is the first, its failure leaves nothing behind. That is why
-- it alone is called by pcall: the call returns at once, having done nothing.
if #lines > 0 then
  local text = concat(lines, '\n')
  local overtaken_text = concat(overtaken_ids, '\n')
  chain = redis.sha1hex(concat({ chain, digits(seq), digits(now_ms), by, redis.sha1hex(text), overtaken_text }, '\n'))
  local words = { journal_key, digits(seq) .. '-0', 'at_ms', digits(now_ms), 'by', by, 'lines', text, 'hash', chain }
  if overtaken_text ~= '' then
    words[#words + 1] = 'overtaken'
    words[#words + 1] = overtaken_text
  end
  -- A journal that had entries and is gone was lost; it is not begun again.
  if seq_before > 0 then table.insert(words, 2, 'NOMKSTREAM') end
  local added = pcall_redis('XADD', unpack(words))
  if not added then return refuse('corrupt_partition', 'journal: there is none') end
  if added.err then return refuse('corrupt_partition', 'journal: ' .. added.err) end

  write_resources()
  write_holds()
  for _, bucket in ipairs(buckets) do chunked('HSET', bucket.key, bucket.fresh) end
  if #unparked > 0 then
    -- Decided while parked: another copy of the job got here first.
    for _, id in ipairs(unparked) do
      call('HDEL', parked_key, id)
      local was_dead = call('ZREM', dead_key, id)
      overtaken = overtaken + call('ZREM', scheduled_key, id) + was_dead
      if was_dead == 1 then change_head_number(head_key, dead_field(read_row(parked_row_of[id])), -1) end
    end
  end
end

if left then
  rows = rows + write_left(in_flight_key, row_key, row, left)
  acked, vanished = acked + leaving, vanished + vanishing
  local trims_before = math.floor(queue_acked / TRIM_EVERY)
  queue_acked = queue_acked + leaving
  if math.floor(queue_acked / TRIM_EVERY) > trims_before then
    local minimum = settled_below(in_flight_key, taken)
    if minimum then call('XTRIM', queue_key, 'MINID', '~', minimum) end
  end
end

if settled_count > 0 then
  call('HSET', head_key, 'seq', digits(seq), 'hash', chain, 'acked', digits(acked),
    'replayed', digits(answered.replayed), 'mismatched', digits(answered.mismatched),
    'expired', digits(answered.expired), 'overtaken', digits(overtaken))
  if refused_missing > 0 then change_head_number(head_key, 'dead_refused', refused_missing) end
end
if left and leaving > 0 then
  call('HSET', head_key, 'acked', digits(acked), queue_counter, digits(queue_acked), rows_field, digits(rows))
  if vanishing > 0 then call('HSET', head_key, 'vanished', digits(vanished)) end
end
return { nonce, 'settled', digits(now_ms), digits(seq_before), unpack(answers) }
