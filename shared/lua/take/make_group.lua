
-- Makes a queue's group again where it was, unless the stream is another one: then a status and what is wrong. (The body
-- of a function: see take.rs.)
local listed = redis.call('HGET', queues_key, name)
local state = queue_state(queue_key, in_flight_key, name, named(redis.call('HGETALL', head_key)), listed, server_ms())
if state.damaged then return 'corrupt_partition', state.damaged end
if state.problem ~= '' then return 'queue_lost', state.problem, state.lost end
if not listed then return 'queue_lost', 'unlisted', 0 end
redis.call('XGROUP', 'CREATE', queue_key, GROUP, taken, 'MKSTREAM', 'ENTRIESREAD', digits(taken_count))
