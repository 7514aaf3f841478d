
-- What one queue is like. `head` is the head's fields by name, `listed` the queue's entry in the list of queues or
-- false. The answer has a problem where something that had been there is gone or is another:
--   wrong_type   the stream is a key of another type
--   no_stream    it is gone
--   no_group     it has lost its group: nobody knows what was fetched
--   replaced     it counts fewer entries than it had been given: it was deleted and begun anew
--   unlisted     the queue was open and is not in the list of queues
-- Then `lost` is how many entries are known to have gone with it, and what is in the stream counts as waiting.
-- `damaged` is a counter of the head that is no number.
local IDS_AHEAD_MS = 60000   -- clocks are set right in small steps all the time

local function queue_state(key, name, head, listed, now_ms)
  local acked = integer(head[queue_acked_field(name)] or '0')
  local added_before = integer(head[queue_added_field(name)] or '0')
  if not acked or not added_before then return { damaged = 'head: a counter of queue ' .. name } end
  local opened = head[queue_opened_field(name)] or acked > 0
  local state = { problem = '', length = 0, added = 0, waiting = 0, pending = 0, has_unfetched = false, lost = 0,
    ids = '', dated = true }

  local stream = redis.pcall('XINFO', 'STREAM', key)
  if stream.err then
    local is_gone = redis.call('EXISTS', key) == 0
    if is_gone and not (listed or opened or head[queue_added_field(name)]) then return state end
    state.problem = is_gone and 'no_stream' or 'wrong_type'
    state.added = math.max(added_before, acked)
    state.lost = state.added - acked
    return state
  end
  stream = named(stream)
  local group = group_of(key)
  state.length, state.added, state.pending = stream.length, stream['entries-added'], group and group.pending or 0
  if opened and not listed then
    state.problem = 'unlisted'
  elseif state.added < math.max(added_before, acked) then
    state.problem = 'replaced'
  elseif (listed or opened) and not group then
    state.problem = 'no_group'
  end
  if state.added < math.max(added_before, acked) then
    local before = math.max(added_before, acked)
    state.lost, state.added = before - acked, before + state.added
  end
  state.waiting = math.max(0, state.added - state.lost - acked - state.pending)
  if not group then state.waiting = state.length end

  local unfetched
  state.oldest, unfetched = unsettled(key, group)
  state.has_unfetched = unfetched and true or false
  if state.oldest then
    state.oldest_at_ms = entry_ms(state.oldest)
    if state.oldest_at_ms > now_ms then
      local entry, since_ms = string.match(head[queue_oldest_field(name)] or '', '^(%S+) (%d+)$')
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
