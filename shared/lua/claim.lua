#!lua
-- claim: takes over entries of one queue that another consumer has held for too long.
--
-- KEYS     queue workers
-- ARGV     nonce consumer idle_ms_min count, then for each consumer that is known to be silent: its name and the
--          last beat that was seen of it, '' for none
-- returns  nonce, status, and for status
--            claimed             how many entries the caller itself has held for so long, how many others hold entries of
--                                the queue, then for each its name and its last beat ('' for none), then for each entry that was taken over: entry, deliveries before
--                                this claim, job (or what it has instead)
--            corrupt_partition   what was found: no stream or no group
-- repeat   claims nothing, since the first call reset the idle time; the caller re-reads its own (pending).
--
-- Entries that were delivered once come first, together. One that was delivered twice or more is suspected of
-- killing workers: it is claimed by itself, so that no other entry's count rises when it kills again.
--
-- How long an entry has been held is told by the server's clock, and stands still after that went back. So the
-- caller also watches, by a clock that only runs forward, who else holds entries: whoever has not beaten for the
-- whole time is named as silent, and what it holds is taken over whatever the server's clock says. If its beat is
-- another by now, it lives.
--
-- A script, not a plain XCLAIM: so Redis refuses a claim exactly when it would refuse to settle (out of
-- memory, read-only, …). Plain claims go on then and count deliveries, and living workers would bury each
-- other's jobs. XCLAIM is its only write.
local queue_key, workers_key = KEYS[1], KEYS[2]
local nonce, consumer, idle_ms_min = unpack(ARGV)
local count = math.min(tonumber(ARGV[4]), 1000)   -- what Lua's stack takes
local PAGES_MAX = 10   -- of own entries to pass over; the caller comes again
local HOLDERS_MAX = 1000

local function job_of(fields)
  for i = 1, #fields, 2 do
    if fields[i] == 'job' then return fields[i + 1] end
  end
  return 'no field "job": ' .. table.concat(fields, ' ')
end

-- A beat as it is compared: its time alone.
local function beat_of(name)
  local text = redis.pcall('HGET', workers_key, name)
  return type(text) == 'string' and string.match(text, '^%d+') or ''
end

local holders = redis.pcall('XPENDING', queue_key, GROUP)
if holders.err then return { nonce, 'corrupt_partition', holders.err } end
local reply = { nonce, 'claimed', 0, 0 }
for _, row in ipairs(holders[4] or {}) do
  if row[1] ~= consumer and reply[4] < HOLDERS_MAX then
    reply[4] = reply[4] + 1
    reply[#reply + 1] = row[1]
    reply[#reply + 1] = beat_of(row[1])
  end
end

local wanted, deliveries_of = {}, {}
local suspect
local function want(entry, deliveries)
  if deliveries_of[entry] then return end
  deliveries_of[entry] = deliveries
  if deliveries > 1 then
    suspect = suspect or entry
  elseif #wanted < count then
    wanted[#wanted + 1] = entry
  end
end

-- What the server's clock says has been held for too long.
local from = '-'
for _ = 1, PAGES_MAX do
  local page = redis.call('XPENDING', queue_key, GROUP, 'IDLE', idle_ms_min, from, '+', count)
  for _, row in ipairs(page) do
    if row[2] ~= consumer then want(row[1], row[4]) else reply[3] = reply[3] + 1 end
  end
  from = #page == count and #wanted < count and behind(page[#page][1])
  if not from then break end
end
-- What the silent ones hold.
for i = 5, #ARGV, 2 do
  local name, beat = ARGV[i], ARGV[i + 1]
  if name ~= consumer and #wanted < count and beat_of(name) == beat then
    for _, row in ipairs(redis.call('XPENDING', queue_key, GROUP, '-', '+', count, name)) do want(row[1], row[4]) end
  end
end

if #wanted == 0 then wanted = { suspect } end

if #wanted > 0 then
  -- All of them are judged already, at this instant.
  local claimed = redis.call('XCLAIM', queue_key, GROUP, consumer, 0, unpack(wanted))
  for _, item in ipairs(claimed) do
    reply[#reply + 1] = item[1]
    reply[#reply + 1] = deliveries_of[item[1]]
    reply[#reply + 1] = job_of(item[2])
  end
end
return reply
