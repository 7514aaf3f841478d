#!lua
-- hand_back: gives up every row that a worker holds of one queue, so that others take it over at once.
--
-- KEYS     head in_flight
-- ARGV     nonce name worker
-- returns  nonce, status, and for status
--            handed_back         how many rows
--            uninitialised, partition_frozen, corrupt_partition: what was found; nothing was written
-- repeat   handed_back; what was given up already is given up.
--
-- The delivery that ends so did no harm, and counts no more: else a few restarts would bury a sound job. A call of this
-- worker that comes late still settles what it was sent for, until somebody takes the row over.
local head_key, in_flight_key = KEYS[1], KEYS[2]
local nonce, name, worker = unpack(ARGV)

local counters, status, detail = read_counters(head_key, { queue_field('rows', name) })
if not counters then return { nonce, status, detail } end
local rows, problem = rows_of(in_flight_key, counters[queue_field('rows', name)])
if not rows then return { nonce, 'corrupt_partition', problem } end

local handed_back = 0
for _, row in ipairs(rows) do
  if row.worker == worker and row.taken_at_ms > 0 then
    row.taken_at_ms, row.deliveries = 0, math.max(0, row.deliveries - 1)
    redis.call('HSET', in_flight_key, row.key, write_flight(row))
    handed_back = handed_back + 1
  end
end
return { nonce, 'handed_back', handed_back }
