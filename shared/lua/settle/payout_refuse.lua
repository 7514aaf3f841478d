
-- payout_refuse  the gateway itself refused the attempt of this fence, definitely. The money goes back only if
--                every attempt that ever began was refused: an unknown one may have paid.
--                fields   account hold payouts (positions) fence note
--                journal  account fence note available
kinds.payout_refuse = {
  fields = 5,
  step = true,

  decide = function(at, seq, id)
    local fence, note = jobs[at + 3], jobs[at + 4]
    local hold, account, payouts = load_step(at)
    if hold == CORRUPT then return 'corrupt_state' end
    if not hold then return answer_ended(id, 'payout_refused') end
    if hold.state == 'needs_review' then return 'replayed:needs_review:' .. hold.seq end
    if not is_current(hold, fence) then return 'fenced' end

    hold.refused = hold.refused + 1
    if hold.refused == hold.attempts then
      end_hold(hold, id, seq, payouts, account, hold.amount)
      return 'payout_refused', step_fields(account, fence, note), digits(account.available), '', hold.fingerprint
    end
    hold.state, hold.reason = 'needs_review', 'refused_after_unknown'
    change_hold(hold, id, seq, payouts, REVIEW_SCORE)
    return 'needs_review', step_fields(account, fence, note), digits(account.available), '', hold.fingerprint
  end,
}
