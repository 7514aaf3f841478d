#!lua flags=no-writes
-- integrity: which keys of a partition are gone, or hold less than they must, by what the others say.
--
-- KEYS     head journal resources scheduled dead parked
-- ARGV     nonce
-- returns  nonce, status, and for status
--            seen                for each that is: its name, and what is missing of it
--            uninitialised, corrupt_partition: what was found
-- repeat   the same, later.
--
-- What can be told from a few counts: so it may be asked every minute. Everything else is the audit's.
local head_key, journal_key, resources_key = KEYS[1], KEYS[2], KEYS[3]
local scheduled_key, dead_key, parked_key = KEYS[4], KEYS[5], KEYS[6]
local nonce = ARGV[1]

local head = redis.pcall('HMGET', head_key, 'seq', 'resources_seen', 'format')
if head.err then return { nonce, 'corrupt_partition', 'head: ' .. head.err } end
local status, detail = head_problem(head_key, head[3])
if status then return { nonce, status, detail } end
local seq, resources_seen = integer(head[1]), integer(head[2] or '0')
if not seq or not resources_seen then return { nonce, 'corrupt_partition', 'head: seq or resources_seen' } end
local problem = wrong_type('XLEN', journal_key) or wrong_type('ZCARD', resources_key)
  or wrong_type('ZCARD', scheduled_key) or wrong_type('ZCARD', dead_key) or wrong_type('HLEN', parked_key)
if problem then return { nonce, 'corrupt_partition', problem } end

local reply = { nonce, 'seen' }
local function missing(name, what)
  reply[#reply + 1] = name
  reply[#reply + 1] = what
end
if seq > 0 and redis.call('XLEN', journal_key) == 0 then
  missing('journal', 'it is gone, with ' .. digits(seq) .. ' lines')
end
local resources = redis.call('ZCARD', resources_key)
if resources < resources_seen then
  missing('resources', 'it names ' .. resources .. ' campaigns and accounts of at least ' .. digits(resources_seen))
end
local parked = redis.call('HLEN', parked_key)
local waiting = redis.call('ZCARD', scheduled_key) + redis.call('ZCARD', dead_key)
if parked < waiting then
  missing('parked', 'it has ' .. parked .. ' of the ' .. waiting .. ' jobs that are scheduled or dead')
end
return reply
