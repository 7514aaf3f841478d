
-- Puts a parked job back into its stream. Only who removed the id from `index_key` (ZREM answered 1) may do so:
-- two promoters, or a promoter and an operator, put it back once.
-- `streams` maps a queue name to its key. Answers requeued, absent, or corrupt_state (nothing changed).
local function requeue(index_key, parked_key, streams, id)
  if not redis.call('ZSCORE', index_key, id) then return 'absent' end
  local row = read_row(redis.call('HGET', parked_key, id))
  if not row or not streams[row.queue] then return 'corrupt_state' end
  if redis.call('ZREM', index_key, id) ~= 1 then return 'absent' end
  row.state = 'queued'
  redis.call('HSET', parked_key, id, write_row(row))
  redis.call('XADD', streams[row.queue], '*', 'job', row.envelope)
  return 'requeued'
end
