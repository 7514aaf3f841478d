
-- A parked row: what left its stream undecided, under its id.
-- <state> TAB <fingerprint> TAB <attempts> TAB <queue> TAB <reason> TAB <at_ms> TAB <length> TAB <envelope, any bytes>
-- state is scheduled, dead or queued (back in its stream, undecided still). length is '' where the bytes are there;
-- else theirs, and their SHA-1 stands in their place: there were too many dead for this reason already.
-- gives   read_parked write_parked
local function read_parked(row)
  if type(row) ~= 'string' then return nil end
  local state, fingerprint, attempts, queue, reason, at_ms, length, envelope =
    string.match(row, '^(%l+)\t(%x+)\t(%d+)\t([^\t]*)\t([^\t]*)\t(%d+)\t(%d*)\t(.*)$')
  if not state then return nil end
  return { state = state, fingerprint = fingerprint, attempts = attempts, queue = queue, reason = reason,
    at_ms = at_ms, length = length, envelope = envelope }
end

local function write_parked(row)
  return table.concat({ row.state, row.fingerprint, row.attempts, row.queue, row.reason, row.at_ms, row.length, row.envelope }, '\t')
end
