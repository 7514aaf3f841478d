#!lua
-- recover: looks at every row of one queue. Keeps what the caller works on, names what is its own and was not heard
-- of, and takes over what another worker has held for too long.
--
-- KEYS     head queue in_flight
-- ARGV     nonce name worker idle_ms_min extent alone, then for each row that the caller holds: token alive; alive is 1 if
--          it is to be kept alive, else 0; extent is keep (nothing else is done), own (what is the caller's and not held is
--          named too) or others (and one row of another is taken over); alone is 1 if nothing else is worked on in the
--          caller's process, else 0
-- returns  nonce, status, and for status
--            recovered           how many suspects wait for a caller that is alone, how many entries the stream has,
--                                then for each row: key, token, deliveries (this one among them), 1 if it was taken
--                                over, last, count, ids
--            uninitialised, partition_frozen, corrupt_partition: what was found; nothing was written
-- repeat   what the first call took over is the caller's: it is named again, and counted no more.
--
-- A row is taken over as it is, under a new token: whoever held it decides nothing of it any more. Its deliveries count
-- the workers that had it. Two of them died with it, or were too slow: then one of its entries is suspected. The first
-- becomes a row of its own, which only a caller that is alone takes over; the rest may be taken over by whoever comes.
-- What five had, three of them alone with it, is for dead. (shared/tests/it/rows_model.rs)
-- How long a row has been held is told by the server's clock; one that was taken in the future was taken before the
-- clock went back.
local head_key, queue_key, in_flight_key = unpack(KEYS)
local nonce, name, worker, idle_ms_min, alone = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[6] == '1'
local may_name, may_take = ARGV[5] ~= 'keep', ARGV[5] == 'others'
local SUSPECT_FROM, LOST_FROM = 2, 5   -- deliveries before this one
local CLOCK_STEP_MS = 1000             -- clocks are set right in small steps all the time

local rows_field = queue_field('rows', name)
local counters, status, detail = read_counters(head_key, { rows_field })
if not counters then return { nonce, status, detail } end
local length = redis.pcall('XLEN', queue_key)
if type(length) ~= 'number' then return { nonce, 'corrupt_partition', queue_key .. ': ' .. length.err } end
local rows, problem = rows_of(in_flight_key, counters[rows_field])
if not rows then return { nonce, 'corrupt_partition', problem } end
local lacked = lacks_right('HSET', in_flight_key, 'x', 'x') or lacks_right('HSET', head_key, 'x', 'x')
if lacked then return lacked end

local now_ms = server_ms()
local held = {}
for i = 7, #ARGV, 2 do held[ARGV[i]] = ARGV[i + 1] end

local reply = { nonce, 'recovered', 0, length }
local function answer(row, taken_over)
  for _, value in ipairs({ row.key, row.token, row.deliveries, taken_over, row.last, row.count, row.ids }) do
    reply[#reply + 1] = value
  end
end

-- The first entry of a suspected row becomes a row of its own; the rest stays as it is, for whoever comes.
local function split(row)
  local rest = { token = row.token, worker = row.worker, taken_at_ms = 0, deliveries = row.deliveries, last = row.last,
    count = row.count - 1, ids = '' }
  if row.count < 2 then return end
  if row.ids == '' then
    local first = redis.call('XRANGE', queue_key, behind(row.key), row.last, 'COUNT', 1)[1]
    -- Behind the last there is nothing: what the row counts beside it has vanished, and the next row's key is this.
    if not first or first[1] == row.last then return end
    rest.key, row.last, row.count = first[1], first[1], 1
  else
    local ids = ids_of(row.ids)
    rest.key, rest.ids = ids[1], table.concat(ids, ' ', 2)
    row.last, row.ids, row.count = ids[1], ids[1], 1
  end
  redis.call('HSET', in_flight_key, rest.key, write_flight(rest))
  counters[rows_field] = counters[rows_field] + 1
  write_counters(head_key, counters)
end

for _, row in ipairs(rows) do
  local age_ms = now_ms - row.taken_at_ms
  if row.worker == worker then
    local kept = held[row.token]
    if kept == '1' then
      row.taken_at_ms = now_ms
      redis.call('HSET', in_flight_key, row.key, write_flight(row))
    elseif may_name and not kept and row.deliveries > SUSPECT_FROM and row.deliveries <= LOST_FROM and not alone then
      reply[3] = reply[3] + 1
    elseif may_name and not kept then
      answer(row, 0)
    end
  elseif may_take and (age_ms >= idle_ms_min or age_ms < -CLOCK_STEP_MS) then
    local is_suspect = row.deliveries >= SUSPECT_FROM and row.deliveries < LOST_FROM
    if is_suspect and not alone then
      reply[3] = reply[3] + 1
    else
      if is_suspect then split(row) end
      row.token, row.worker, row.taken_at_ms, row.deliveries = nonce, worker, now_ms, row.deliveries + 1
      redis.call('HSET', in_flight_key, row.key, write_flight(row))
      answer(row, 1)
      may_take = false   -- one in a call: the token is the call's, and others want some, too
    end
  end
end
return reply
