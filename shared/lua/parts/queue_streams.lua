
-- The streams of every queue of the partition, or the reason why they cannot be trusted: `stale_keys` when a
-- queue was added since the caller read the list, `corrupt_partition` for a foreign type.
local function queue_streams(queues_key, names, first_key)
  local count = redis.pcall('HLEN', queues_key)
  if type(count) ~= 'number' then return nil, 'corrupt_partition' end
  if count ~= #names then return nil, 'stale_keys' end
  local streams = {}
  for i, name in ipairs(names) do
    local key = KEYS[first_key + i - 1]
    if type(redis.pcall('XLEN', key)) ~= 'number' then return nil, 'corrupt_partition' end
    streams[name] = key
  end
  return streams
end
