
-- The call: names for what is in KEYS and ARGV. Below this file nothing is an index into them but positions and the
-- fields of a job.
--
-- Redis runs settle on its one thread, so its steps are counted (`make bench-instructions`). What every job passes through
-- has these tricks, and nothing else has them; each says how many instructions a redemption it saves, of some 50,000, in
-- batches of 100:
--   3,500  numbers that count up are put into text by their last two digits (halves)
--     900  the jobs come packed, and positions are numbers: a word of its own is parsed, copied, hashed and freed
--     500  the kinds that few batches have are made on demand (rare_kinds): a function is made anew by each call
--  16,000  (a withdrawal) an account is one text: all of a batch are read by one command, and written by one
--     300  the answers are one word
--     300  `number_of[text] or integer(text)`: the callee's own first line, before it is called
-- gives   KEYS head_key queue_key in_flight_key journal_key parked_key scheduled_key dead_key kept_key resources_key
--         nonce queue_name by how row_key token entries_text left_text jobs KEPT_POSITION COMMON_FIELDS call
--         pcall_redis match concat now_us now_ms answers told lines name_at refuse
local KEYS = KEYS
local head_key, queue_key, in_flight_key, journal_key, parked_key, scheduled_key, dead_key, kept_key, resources_key =
  unpack(KEYS, 1, 9)
local nonce, queue_name, by, how, row_key, token, entries_text, left_text = unpack(ARGV, 1, 8)
local names, jobs = cmsgpack.unpack(ARGV[9]), cmsgpack.unpack(ARGV[10])

local KEYS_COMMON = 9      -- KEYS that every call has
local KEPT_POSITION = 8    -- in KEYS
local COMMON_FIELDS = 2    -- id fingerprint

local call, pcall_redis = redis.call, redis.pcall
local match, concat = string.match, table.concat
local now_us = server_us()
local now_ms = math.floor(now_us / 1000)

local answers = {}   -- one for each job, in order
local told = {}      -- what a job's answer says beside its code
local lines = {}     -- journal lines of what this call decided

local function name_at(position) return names[position - KEYS_COMMON] end

local function refuse(status, what) return { nonce, status, what } end
