
-- What one queue is like. `head` is the head's fields by name, `listed` the queue's entry in the list of queues or
-- false. The answer has a problem where something that had been there is gone or is another:
--   wrong_type   the stream is a key of another type
--   no_stream    it is gone
--   replaced     it counts fewer entries than it had been given, or has more waiting than it counts: it was deleted
--                and begun anew
--   rows         its rows in flight are not what the head counts, or one cannot be read
--   unlisted     the queue was open and is not in the list of queues
-- Then `lost` is how many entries are known to have gone with it, and what is in the stream counts as waiting.
-- `damaged` is a counter of the head that is no number.
-- gives   queue_state
local IDS_AHEAD_MS = 60000   -- clocks are set right in small steps all the time

local function queue_state(key, in_flight_key, name, head, listed, now_ms)
  local acked = integer(head[queue_field('acked', name)] or '0')
  local added_before = integer(head[queue_field('added', name)] or '0')
  local taken_count, row_count = integer(head[queue_field('taken_count', name)] or '0'), integer(head[queue_field('rows', name)] or '0')
  local taken = head[queue_field('taken', name)] or '0-0'
  if not (acked and added_before and taken_count and row_count and taken_count >= acked
      and string.match(taken, '^%d+%-%d+$')) then return { damaged = 'head: a counter of queue ' .. name } end
  local opened = head[queue_field('opened', name)] or taken_count > 0
  local known_before = math.max(added_before, taken_count)
  local state = { problem = '', length = 0, added = 0, waiting = 0, in_flight = 0, has_waiting = false, lost = 0,
    ids = '', dated = true }

  local stream = redis.pcall('XINFO', 'STREAM', key)
  if stream.err then
    local is_gone = redis.call('EXISTS', key) == 0
    if is_gone and not (listed or opened or head[queue_field('added', name)]) then return state end
    state.problem = is_gone and 'no_stream' or 'wrong_type'
    state.added = known_before
    state.lost = state.added - acked
    return state
  end
  stream = named(stream)
  state.length, state.added = stream.length, stream['entries-added']
  local rows, rows_wrong = rows_of(in_flight_key, row_count)
  local first = stream['first-entry']
  if opened and not listed then
    state.problem = 'unlisted'
  elseif state.added < known_before or is_before(stream['last-generated-id'], taken)
      or (first and is_before(taken, first[1]) and state.length > state.added - taken_count) then
    state.problem = 'replaced'
  elseif rows_wrong then
    state.problem = 'rows'
  else
    -- The second witness of what is in flight.
    local in_rows = 0
    for _, row in ipairs(rows) do in_rows = in_rows + row.count end
    if in_rows ~= taken_count - acked then state.problem = 'rows' end
  end
  state.in_flight = taken_count - acked
  if state.problem == 'replaced' then
    state.lost, state.added, state.in_flight = known_before - acked, known_before + state.added, 0
    rows, taken = {}, '0-0'
  end
  state.waiting = math.max(0, state.added - state.lost - acked - state.in_flight)

  local waiting
  state.oldest, waiting = unsettled(key, rows or {}, taken)
  state.has_waiting = waiting and true or false
  if state.oldest then
    state.oldest_at_ms = entry_ms(state.oldest)
    if state.oldest_at_ms > now_ms then
      local entry, since_ms = string.match(head[queue_field('oldest', name)] or '', '^(%S+) (%d+)$')
      state.dated = false
      state.oldest_at_ms = entry == state.oldest and math.min(integer(since_ms) or now_ms, now_ms) or now_ms
    end
  end
  local last = stream['last-generated-id']
  if last == LAST_ENTRY then
    state.ids = 'full'
  elseif entry_ms(last) > now_ms + IDS_AHEAD_MS then
    state.ids = 'ahead'
  end
  return state
end
