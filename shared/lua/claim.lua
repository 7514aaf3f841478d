#!lua
-- claim: takes over entries of one queue that another consumer has held for too long.
--
-- KEYS     queue
-- ARGV     nonce consumer idle_ms_min count
-- returns  nonce, status, and for status
--            claimed             for each entry: entry, deliveries before this claim, job (or what it has instead)
--            corrupt_partition   what was found: no stream or no group
-- repeat   claims nothing, since the first call reset the idle time; the caller re-reads its own (pending).
--
-- Entries that were delivered once come first, together. One that was delivered twice or more is suspected of
-- killing workers: it is claimed by itself, so that no other entry's count rises when it kills again.
--
-- A script, not a plain XCLAIM: so Redis refuses a claim exactly when it would refuse to settle (out of
-- memory, read-only, …). Plain claims go on then and count deliveries, and living workers would bury each
-- other's jobs. XCLAIM is its only write.
local queue_key = KEYS[1]
local nonce, consumer, idle_ms_min = unpack(ARGV)
local count = math.min(tonumber(ARGV[4]), 1000)   -- what Lua's stack takes
local GROUP = 'workers'
local PAGES_MAX = 10   -- of own entries to pass over; the caller comes again

local function job_of(fields)
  for i = 1, #fields, 2 do
    if fields[i] == 'job' then return fields[i + 1] end
  end
  return 'no field "job": ' .. table.concat(fields, ' ')
end

local wanted, deliveries_of = {}, {}
local suspect
local from = '-'
for _ = 1, PAGES_MAX do
  local page = redis.pcall('XPENDING', queue_key, GROUP, 'IDLE', idle_ms_min, from, '+', count)
  if page.err then return { nonce, 'corrupt_partition', page.err } end
  for _, row in ipairs(page) do
    local entry, owner, deliveries = row[1], row[2], row[4]
    if owner ~= consumer then
      deliveries_of[entry] = deliveries
      if deliveries > 1 then
        suspect = suspect or entry
      elseif #wanted < count then
        wanted[#wanted + 1] = entry
      end
    end
    from = '(' .. entry
  end
  if #page < count or #wanted == count then break end
end

if #wanted == 0 then wanted = { suspect } end

local reply = { nonce, 'claimed' }
if #wanted > 0 then
  local claimed = redis.call('XCLAIM', queue_key, GROUP, consumer, idle_ms_min, unpack(wanted))
  for _, item in ipairs(claimed) do
    reply[#reply + 1] = item[1]
    reply[#reply + 1] = deliveries_of[item[1]]
    reply[#reply + 1] = job_of(item[2])
  end
end
return reply
