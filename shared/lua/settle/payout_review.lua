
-- payout_review  the gateway's answer to the attempt of this fence is one that only a person can judge
--                fields   account hold payouts (positions) fence note
--                journal  account fence note available
kinds.payout_review = {
  fields = 5,
  step = true,

  decide = function(at, seq, id)
    local fence, note = jobs[at + 3], jobs[at + 4]
    local hold, account, payouts = load_step(at)
    if hold == CORRUPT then return 'corrupt_state' end
    if not hold then return answer_ended(id) end
    if hold.state == 'needs_review' then return 'replayed:needs_review:' .. hold.seq end
    if not is_current(hold, fence) then return 'fenced' end

    hold.state, hold.reason = 'needs_review', note
    change_hold(hold, id, seq, payouts, REVIEW_SCORE)
    return 'needs_review', step_fields(account, fence, note), digits(account.available), '', hold.fingerprint
  end,
}
