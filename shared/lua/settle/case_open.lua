
-- case_open   fields   case (a position) options
--             journal  case options version
kinds.case_open = {
  fields = 2,

  decide = function(at, seq)
    local position, options = jobs[at], jobs[at + 1]
    if options == '' then return 'options_malformed' end

    local id = name_at(position)
    local case = load_case(position)
    if case == CORRUPT then return 'corrupt_state' end
    local request = id .. '\t' .. options
    if case then return 'case_exists', request, digits(case.version) end

    case = { key = KEYS[position], id = id, version = 1, options = options, decision = '', by = '', reason = '', created = true }
    loaded[position] = case
    return 'case_opened', request, change_case(case, seq)
  end,
}
