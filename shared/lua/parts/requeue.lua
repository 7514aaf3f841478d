
-- An error reply if the user may not add to one of the streams: asked for before the first write, for XADD below
-- would answer it as damage.
-- gives   lacks_right_to_add requeue
local function lacks_right_to_add(streams)
  for _, key in pairs(streams) do
    local lacked = lacks_right('XADD', key, '*', 'job', '')
    if lacked then return lacked end
  end
end

-- Puts a parked job back into its stream. Only who finds the id in `index_key` may do so, and takes it out in
-- the same script: two promoters, or a promoter and an operator, put it back once.
-- `streams` maps a queue name to its key. Answers requeued, absent, not_kept, or corrupt_state (nothing changed).
-- XADD comes first because it alone can still fail (a foreign entry has the highest id there is, or the stream is a
-- key of another type): then nothing was written for this id.
local function requeue(index_key, parked_key, streams, id)
  if not redis.call('ZSCORE', index_key, id) then return 'absent' end
  local row = read_parked(redis.call('HGET', parked_key, id))
  if not row or not streams[row.queue] then return 'corrupt_state' end
  if row.length ~= '' then return 'not_kept' end
  if redis.pcall('XADD', streams[row.queue], '*', 'job', row.envelope).err then return 'corrupt_state' end
  redis.call('ZREM', index_key, id)
  if string.sub(id, 1, 6) == 'entry/' then
    -- Poison has no id of its own: as the new entry it is poison of another name, or a job.
    redis.call('HDEL', parked_key, id)
  else
    row.state = 'queued'
    redis.call('HSET', parked_key, id, write_parked(row))
  end
  return 'requeued'
end
