#!lua flags=no-writes
-- stats: the counters of one partition and its queues, all of one instant.
--
-- KEYS     head queues registered scheduled dead parked, then for each queue: queue in_flight
-- ARGV     nonce, then for each queue, in the order of KEYS: name
-- returns  nonce, status, and for status
--            stats               at_ms, then the head as HGETALL gives it (a list), scheduled, dead, parked,
--                                then for each queue a list: name, status (active, paused or unopened), problem
--                                (see queue_state) or '', length, entries_added, waiting, in_flight, at_ms of its
--                                oldest unsettled entry ('' if none), 1 if that time is the entry's own (0 if
--                                the entry's id is ahead of the clock), 1 if the stream has entries that
--                                wait, how many entries were lost with an earlier stream, and its ids:
--                                ahead (of the clock), full (nothing can be added any more) or ''
--            uninitialised, stale_keys, corrupt_partition: what was found
-- repeat   the same, later.
local nonce = ARGV[1]
local reply, status, detail = partition_stats(server_ms(), 7)
if not reply then return { nonce, status, detail } end
return reply
