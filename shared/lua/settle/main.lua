#!lua
-- settle: decides a batch of jobs of one partition, each once, or does nothing at all.
--
-- KEYS     head queue in_flight journal parked scheduled dead kept resources, then for each bucket of receipts
--          and resource of the batch, once: key; jobs name them by their position in KEYS
-- ARGV     nonce queue_name by how row token entries left names jobs;
--          row and token name the row in flight that the jobs come from, '' for what is settled directly; entries
--          are the jobs' entries, in their order, left those that the caller knows to be in the row beside them,
--          a space between two; by is who asks, '' for workers;
--          how is cancel to decide against jobs that are scheduled (see cancel.lua), refuse where a job is to be
--          refused for good whose resource does not exist, else ''.
--          names and jobs are lists, packed by MessagePack. names: what each key after the first nine is of: a bucket
--          its hour, a resource its id, else ''. jobs: runs of one kind and one bucket: kind bucket count, then for each
--          job: id fingerprint, then the kind's own fields (see its file). The bucket of a timeless id is kept.
--          Positions and counts are numbers, everything else is text.
-- returns  nonce, status, and for status
--            settled           at_ms, seq before, then one word for each job, a space between two: its code if this call
--                              decided it, or replayed:<code>:<seq>, id_mismatch:<seq>, id_expired, not_owner, or the
--                              code of what stays undecided, and in its row; then, of a payout_begin that this call
--                              decided as paying, its fence and its idempotency key
--            uninitialised, partition_frozen, corrupt_partition: what was found; nothing was written
-- repeat   every job that the first call decided answers replayed; the rest is tried again.
--
-- Two passes. The first only reads: it decides each job against an overlay of what the jobs before it did.
-- The second only writes. A process that dies in between writes nothing; Redis logs all writes of a script
-- as one transaction, so a crash of Redis keeps all of them or none.
local refusal = read_head() or find_row() or read_runs() or read_receipts()
if refusal then return refusal end
decide_jobs()
refusal = leave_row() or lacks_rights() or append_journal()   -- the one write that can fail is the first
if refusal then return refusal end
write_effects()
write_row()
write_head()
return { nonce, 'settled', digits(now_ms), digits(head.seq_before), concat(answers, ' '), unpack(told) }
