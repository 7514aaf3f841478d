
-- case_amend  fields   case (a position) options reason expect_version ('' where none is)
--             journal  case options reason expect_version version decided_seq
-- decided_seq is that of the decision that stands, where there is one, and else left out.
kinds.case_amend = {
  fields = 4,

  decide = function(at, seq)
    local position, options, reason, expect_text = jobs[at], jobs[at + 1], jobs[at + 2], jobs[at + 3]
    local expected = optional(expect_text)
    if expected == nil then return 'version_out_of_range' end

    local case = load_case(position)
    if case == CORRUPT then return 'corrupt_state' end
    local request = concat({ name_at(position), options, reason, expect_text }, '\t')
    if not case then return not_found('case_not_found', request) end
    if case.decision ~= '' then return 'already_decided', request, stands(case) end
    if expected and expected ~= case.version then return 'version_mismatch', request, digits(case.version) end

    case.version = case.version + 1
    if options ~= '' then case.options = options end
    return 'case_amended', request, change_case(case, seq)
  end,
}
