#!lua flags=no-writes
-- pending: re-reads entries that a consumer holds, after a reply to its fetch or claim was lost.
--
-- KEYS     queue
-- ARGV     nonce consumer after count; after is the last entry already read, or ''
-- returns  nonce, status, and for status
--            pending             for each entry: entry, deliveries including its own, job (or what it has instead;
--                                '' if it was deleted)
--            corrupt_partition   what was found: no stream or no group
-- repeat   the same. It reads without counting: re-reading by XREADGROUP 0 would add a delivery to each entry.
local queue_key = KEYS[1]
local nonce, consumer, after, count = unpack(ARGV)

local from = '-'
if after ~= '' then from = behind(after) end
if not from then return { nonce, 'pending' } end
local rows = redis.pcall('XPENDING', queue_key, GROUP, from, '+', count, consumer)
if rows.err then return { nonce, 'corrupt_partition', rows.err } end
local reply = { nonce, 'pending' }
for _, row in ipairs(rows) do
  local entry, deliveries = row[1], row[4]
  local found = redis.call('XRANGE', queue_key, entry, entry)[1]
  local job = ''
  if found then
    job = 'no field "job": ' .. table.concat(found[2], ' ')
    for i = 1, #found[2], 2 do
      if found[2][i] == 'job' then
        job = found[2][i + 1]
        break
      end
    end
  end
  reply[#reply + 1] = entry
  reply[#reply + 1] = deliveries
  reply[#reply + 1] = job
end
return reply
