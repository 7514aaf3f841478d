
-- decide      fields   case (a position) decision by expect_version ('' where none is) reason
--             journal  case decision by expect_version reason version decided_seq
-- decided_seq is that of the decision that stands, where there is one already, and else left out.
kinds.decide = {
  fields = 5,

  decide = function(at, seq)
    local position, decision, by_whom, expect_text, reason = unpack(jobs, at, at + 4)
    local expected = optional(expect_text)
    if expected == nil then return 'version_out_of_range' end

    local case = load_case(position)
    if case == CORRUPT then return 'corrupt_state' end
    local request = concat({ name_at(position), decision, by_whom, expect_text, reason }, '\t')
    if not case then return not_found('case_not_found', request) end
    if case.decision ~= '' then return 'already_decided', request, stands(case) end
    if expected and expected ~= case.version then return 'version_mismatch', request, digits(case.version) end
    if not has_option(case, decision) then return 'not_an_option', request, digits(case.version) end

    case.decision, case.by, case.reason = decision, by_whom, reason
    return 'decided', request, change_case(case, seq)
  end,
}
