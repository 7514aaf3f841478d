
-- The streams of every queue of the partition, and its rows in flight, each by the queue's name: listed (by who opened them) or registered (by who sends to them); or
-- nil, a status and its detail: `stale_keys` when a queue was added since the caller read the lists,
-- `corrupt_partition` for a foreign type.
--
-- A registered name that no queue can have is nobody's: `readable` is the rule for names (see `ids.rs`).
-- gives   queue_streams
local function readable(name)
  return #name <= 64 and string.find(name, '^[%w_.-]+$') ~= nil
end

local function queue_streams(queues_key, registered_key, names, first_key)
  local problem = wrong_type('HLEN', queues_key) or wrong_type('SCARD', registered_key)
  if problem then return nil, 'corrupt_partition', problem end
  local streams, in_flight = {}, {}
  for i, name in ipairs(names) do
    streams[name], in_flight[name] = KEYS[first_key + 2 * i - 2], KEYS[first_key + 2 * i - 1]
  end
  for _, name in ipairs(redis.call('HKEYS', queues_key)) do
    if not streams[name] then return nil, 'stale_keys', 'queues' end
  end
  for _, name in ipairs(redis.call('SMEMBERS', registered_key)) do
    if not streams[name] and readable(name) then return nil, 'stale_keys', 'registered' end
  end
  return streams, in_flight
end
