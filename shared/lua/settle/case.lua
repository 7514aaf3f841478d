
-- Cases: what the jobs of this batch see of them. A case is decided once: its seq is then that of the decision, which
-- nothing changes any more.
-- gives   load_case has_option change_case stands
local cases_changed = {}

local function has_option(case, option)
  return string.find(',' .. case.options .. ',', ',' .. option .. ',', 1, true) ~= nil
end

local function load_case(position)
  local case = loaded[position]
  if case ~= nil then return case end
  local key, id = KEYS[position], name_at(position)
  local fields = pcall_redis('HMGET', key, 'version', 'options', 'decision', 'by', 'reason', 'seq')
  if fields.err then
    case = CORRUPT
  elseif not any(fields, 6) then
    case = absent('case:' .. id)
  else
    case = {
      key = key, id = id, version = integer(fields[1]), options = fields[2], decision = fields[3], by = fields[4],
      reason = fields[5], seq = integer(fields[6]),
    }
    if not (case.version and case.options and case.decision and case.by and case.reason and case.seq)
        or case.version == 0 or case.version > COUNTER_MAX or case.options == ''
        or (case.decision == '') ~= (case.by == '') or (case.decision == '' and case.reason ~= '')
        or (case.decision ~= '' and not has_option(case, case.decision)) then
      case = CORRUPT
    end
  end
  loaded[position] = case
  return case
end

-- Marks a case as changed by the line with this seq; answers its version, as the journal has it.
local function change_case(case, seq)
  if not case.changed then cases_changed[#cases_changed + 1] = case end
  case.changed, case.seq = true, seq
  return digits(case.version)
end

-- The version of a case that is decided, and the seq of what stands.
local function stands(case) return digits(case.version) .. '\t' .. digits(case.seq) end

writers[#writers + 1] = function()
  for _, case in ipairs(cases_changed) do
    call('HSET', case.key, 'version', digits(case.version), 'options', case.options, 'decision', case.decision,
      'by', case.by, 'reason', case.reason, 'seq', digits(case.seq))
    if case.created then call('ZADD', resources_key, 0, 'case:' .. case.id) end
  end
end
