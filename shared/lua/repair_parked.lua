#!lua
-- repair_parked: puts ids of parked jobs back into scheduled and dead as their rows say, and takes out those that
-- have no row: their bytes are lost, which is counted as discarded.
--
-- KEYS     head journal parked scheduled dead
-- ARGV     nonce by note apply, then for each job: id; apply is 1, or 0 to say only what would be done
-- returns  nonce, status, and for status
--            done                for each id one of
--              intact
--              to_scheduled, to_dead: put back
--              unlisted          it is back in its stream
--              lost              it has no row
--              corrupt_state     a row that cannot be read, left as it is
--            uninitialised, partition_frozen, corrupt_partition: what was found; nothing was written
-- repeat   intact for what the first call put right.
--
-- Safe whenever it is executed: each id is judged by its row in the same step that changes its place, so a job that
-- was promoted, decided or retried meanwhile is left where it went.
local head_key, journal_key, parked_key, scheduled_key, dead_key = unpack(KEYS)
local nonce, by, note, apply = unpack(ARGV)
local ids = { unpack(ARGV, 5) }

local counters, status, detail = read_counters(head_key, { 'seq', 'discarded' })
if not counters then return { nonce, status, detail } end
local seq = counters.seq
counters.seq = nil   -- read, never written here
local problem = wrong_type('XLEN', journal_key) or wrong_type('HLEN', parked_key)
  or wrong_type('ZCARD', scheduled_key) or wrong_type('ZCARD', dead_key)
if problem then return { nonce, 'corrupt_partition', problem } end
local lacked = lacks_right('XADD', journal_key, '*', 'x', 'x') or lacks_right('HSET', head_key, 'hash', '')
  or lacks_right('ZADD', scheduled_key, '0', 'x') or lacks_right('ZADD', dead_key, '0', 'x')
  or lacks_right('ZREM', scheduled_key, 'x') or lacks_right('ZREM', dead_key, 'x')
if lacked then return lacked end

local results, changes, dead_lost = {}, {}, 0
for i, id in ipairs(ids) do
  local text = redis.call('HGET', parked_key, id)
  local row = read_parked(text)
  local scheduled, dead = redis.call('ZSCORE', scheduled_key, id), redis.call('ZSCORE', dead_key, id)
  local wanted_scheduled = row and row.state == 'scheduled' and row.at_ms
  local wanted_dead = row and row.state == 'dead' and row.at_ms
  local result = 'intact'
  if text and not row then
    result = 'corrupt_state'
  elseif not text then
    if scheduled or dead then result = 'lost' end
    if dead then dead_lost = dead_lost + 1 end
  elseif wanted_scheduled and (tonumber(scheduled) ~= tonumber(wanted_scheduled) or dead) then
    result = 'to_scheduled'
  elseif wanted_dead and (tonumber(dead) ~= tonumber(wanted_dead) or scheduled) then
    result = 'to_dead'
  elseif row.state == 'queued' and (scheduled or dead) then
    result = 'unlisted'
  end
  results[i] = result
  if result ~= 'intact' and result ~= 'corrupt_state' then
    changes[#changes + 1] = { id = id, result = result, at_ms = wanted_scheduled or wanted_dead }
  end
end
if apply == '0' or #changes == 0 then return { nonce, 'done', unpack(results) } end

problem = write_note(head_key, journal_key, seq, redis.call('HGET', head_key, 'hash'),
  server_ms(), by, note)
if problem then return { nonce, 'corrupt_partition', problem } end
for _, change in ipairs(changes) do
  if change.result ~= 'to_scheduled' then redis.call('ZREM', scheduled_key, change.id) end
  if change.result ~= 'to_dead' then redis.call('ZREM', dead_key, change.id) end
  if change.result == 'to_scheduled' then redis.call('ZADD', scheduled_key, change.at_ms, change.id) end
  if change.result == 'to_dead' then redis.call('ZADD', dead_key, change.at_ms, change.id) end
  if change.result == 'lost' then counters.discarded = counters.discarded + 1 end
end
write_counters(head_key, counters)

-- Nobody knows any more for which reasons the lost ones were dead: the most frequent are counted down, so that the
-- sum is right.
local by_reason = {}
local head = redis.call('HGETALL', head_key)
for i = 1, #head, 2 do
  if string.sub(head[i], 1, 5) == 'dead:' then by_reason[#by_reason + 1] = { head[i], integer(head[i + 1]) or 0 } end
end
table.sort(by_reason, function(a, b) return a[2] > b[2] end)
for _, counter in ipairs(by_reason) do
  local fewer = math.min(dead_lost, counter[2])
  if fewer > 0 then redis.call('HSET', head_key, counter[1], digits(counter[2] - fewer)) end
  dead_lost = dead_lost - fewer
end
return { nonce, 'done', unpack(results) }
