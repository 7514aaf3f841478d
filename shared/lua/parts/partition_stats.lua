
-- The counters of a partition and the state of each of its queues, of one instant. Both scripts that answer them
-- have the same ARGV and begin with the same KEYS: see stats; `first_stream` is where the streams begin in KEYS.
-- Answers the reply, the head's fields and the states by name; or nil, a
-- status and its detail.
-- gives   partition_stats
local function partition_stats(now_ms, first_stream)
  local head_key, queues_key, registered_key = KEYS[1], KEYS[2], KEYS[3]
  local scheduled_key, dead_key, parked_key = KEYS[4], KEYS[5], KEYS[6]
  local names = { unpack(ARGV, 2) }

  local list = redis.pcall('HGETALL', head_key)
  if list.err then return nil, 'corrupt_partition', 'head: ' .. list.err end
  local head, states = named(list), {}
  local status, detail = head_problem(head_key, head.format)
  if status then return nil, status, detail end
  local streams, in_flight, what = queue_streams(queues_key, registered_key, names, first_stream)
  if not streams then return nil, in_flight, what end
  local problem = wrong_type('ZCARD', scheduled_key) or wrong_type('ZCARD', dead_key) or wrong_type('HLEN', parked_key)
  if problem then return nil, 'corrupt_partition', problem end

  local reply = { ARGV[1], 'stats', digits(now_ms), list, redis.call('ZCARD', scheduled_key),
    redis.call('ZCARD', dead_key), redis.call('HLEN', parked_key) }
  for _, name in ipairs(names) do
    local listed = redis.call('HGET', queues_key, name)
    local state = queue_state(streams[name], in_flight[name], name, head, listed, now_ms)
    if state.damaged then return nil, 'corrupt_partition', state.damaged end
    state.listed, states[name] = listed, state
    reply[#reply + 1] = { name, listed or 'unopened', state.problem, state.length, state.added, state.waiting,
      state.in_flight, state.oldest_at_ms and digits(state.oldest_at_ms) or '', state.dated and 1 or 0,
      state.has_waiting and 1 or 0, state.lost, state.ids }
  end
  return reply, head, states
end
