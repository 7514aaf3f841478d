#!lua
-- settle: decides a batch of jobs of one partition, each once, or does nothing at all.
--
-- KEYS     head queue in_flight journal parked scheduled dead kept resources, then every receipt bucket and
--          resource key of the batch, once; jobs name them by their position in KEYS
-- ARGV     nonce by how row token entries left, then what each key after the first nine is of: a bucket its hour, a
--          resource its id, else '';
--          then the jobs, in runs of one kind and one bucket: kind bucket count, then for each job:
--          id fingerprint, then the kind's own fields (see its file). The bucket of a timeless id is kept.
--          row and token name the row in flight that the jobs come from, '' for what is settled directly; entries
--          are the jobs' entries, in their order, left those that the caller knows to be in the row beside them,
--          a space between two; by is who asks, '' for workers;
--          how is cancel to decide against jobs that are scheduled (see cancel.lua), refuse where a job is to be
--          refused for good whose resource does not exist, else ''.
-- returns  nonce, status, and for status
--            settled           at_ms, seq before, then for each job: its code if this call decided it, or
--                              replayed:<code>:<seq>, id_mismatch:<seq>, not_owner, or the code of what stays
--                              undecided, and in its row
--            uninitialised, partition_frozen, corrupt_partition: what was found; nothing was written
-- repeat   every job that the first call decided answers replayed; the rest is tried again.
--
-- Two passes. The first only reads: it decides each job against an overlay of what the jobs before it did.
-- The second only writes. A process that dies in between writes nothing; Redis logs all writes of a script
-- as one transaction, so a crash of Redis keeps all of them or none.
local KEYS, ARGV = KEYS, ARGV
local head_key, queue_key, in_flight_key, journal_key, parked_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local scheduled_key, dead_key, kept_key, resources_key = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local nonce, by, how = ARGV[1], ARGV[2], ARGV[3]
local row_key, token, entries_text, left_text = ARGV[4], ARGV[5], ARGV[6], ARGV[7]

local KEYS_COMMON = 9                             -- KEYS that every call has
local NAMES_FIRST = 8                             -- where the names of the keys begin in ARGV
local RUNS_FIRST = NAMES_FIRST + #KEYS - KEYS_COMMON        -- where the first run begins in ARGV
local KEPT_POSITION = '8'                         -- in KEYS, as jobs name it
local COMMON_FIELDS = 2                           -- id fingerprint
local TRIM_EVERY = 512                            -- settled entries: a stream is trimmed by whole nodes anyway
local FUTURE_MS_MAX = 86400000

local call, pcall_redis = redis.call, redis.pcall
local match, concat = string.match, table.concat

local function key_at(position) return KEYS[position + 0] end
local function name_at(position) return ARGV[position - KEYS_COMMON + NAMES_FIRST - 1] end

local time = call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
