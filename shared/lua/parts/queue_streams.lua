
-- The streams of every queue of the partition, or nil, a status and its detail: `stale_keys` when a queue was added
-- since the caller read the list, `corrupt_partition` for a foreign type.
local function queue_streams(queues_key, names, first_key)
  local problem = wrong_type('HLEN', queues_key)
  if problem then return nil, 'corrupt_partition', problem end
  if redis.call('HLEN', queues_key) ~= #names then return nil, 'stale_keys', 'queues' end
  local streams = {}
  for i, name in ipairs(names) do
    local key = KEYS[first_key + i - 1]
    problem = wrong_type('XLEN', key)
    if problem then return nil, 'corrupt_partition', problem end
    streams[name] = key
  end
  return streams
end
