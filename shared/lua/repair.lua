#!lua
-- repair: writes what a replay of the journal has proved, if nothing was decided since, and notes in the journal who
-- did it and why.
--
-- KEYS     head journal, then for each of the commands: key
-- ARGV     nonce by seq hash note, then for each of the commands, one after the other: word; its words are: how many
--          follow, its name, the position in KEYS of its key, its further words (of RENAME the position of the other key)
-- returns  nonce, status, and for status
--            repaired
--            moved     something was decided or repaired since the replay: replay on and try again
--            uninitialised, partition_frozen, corrupt_partition: what was found; nothing was written
-- repeat   moved: the note of the first call has moved the hash.
--
-- Safe whenever it is executed: seq and hash name the one history that proves the values, and every decision moves
-- both, so a late call or a second one finds another history. All values are absolute; the note comes first.
local head_key, journal_key = KEYS[1], KEYS[2]
local nonce, by, seq_text, hash, note = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local ALLOWED = { DEL = true, SET = true, HSET = true, ZADD = 'ZCARD', ZREM = 'ZCARD', RENAME = true }

local counters, status, detail = read_counters(head_key, { 'seq' })
if not counters then return { nonce, status, detail } end
if digits(counters.seq) ~= seq_text or redis.call('HGET', head_key, 'hash') ~= hash then return { nonce, 'moved' } end
local problem = wrong_type('XLEN', journal_key)
if problem then return { nonce, 'corrupt_partition', problem } end

local commands, rights, deleted = {}, { { 'XADD', journal_key, '*', 'x', 'x' }, { 'HSET', head_key, 'hash', '' } }, {}
local at = 6
while ARGV[at] do
  local count, name = integer(ARGV[at]), ARGV[at + 1]
  local words = { name, KEYS[integer(ARGV[at + 2])], unpack(ARGV, at + 3, at + count) }
  local allowed = ALLOWED[name]
  if not allowed or not words[2] then return { nonce, 'corrupt_partition', 'call: no command ' .. name } end
  if name == 'RENAME' then words[3] = KEYS[integer(words[3])] end
  -- What is added to must be of its type; hashes are deleted first, whatever they are.
  if allowed ~= true and not deleted[words[2]] then
    local problem = wrong_type(allowed, words[2])
    if problem then return { nonce, 'corrupt_partition', problem } end
  elseif name == 'HSET' and not deleted[words[2]] then
    return { nonce, 'corrupt_partition', 'call: HSET without DEL' }
  end
  deleted[words[2]] = deleted[words[2]] or name == 'DEL'
  commands[#commands + 1] = words
  rights[#rights + 1] = words
  at = at + count + 1
end
for _, words in ipairs(rights) do
  local lacked = lacks_right(unpack(words))
  if lacked then return lacked end
end

problem = write_note(head_key, journal_key, counters.seq, hash, server_ms(), by, note)
if problem then return { nonce, 'corrupt_partition', problem } end
for _, words in ipairs(commands) do redis.call(unpack(words)) end
return { nonce, 'repaired' }
