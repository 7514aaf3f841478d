
-- payout_void    the money goes back: an operator says so, or the hold's time is over before any attempt
--                fields   account hold payouts (positions) source (operator or expiry) note
--                journal  account source note available
kinds.payout_void = {
  fields = 5,
  step = true,

  decide = function(at, seq, id)
    local source, note = jobs[at + 3], jobs[at + 4]
    local hold, account, payouts = load_step(at)
    if hold == CORRUPT then return 'corrupt_state' end
    if not hold then return answer_ended(id, 'payout_voided') end
    if lease_runs(hold) then return 'lease_running' end
    if source ~= 'operator'
        and (hold.attempts > 0 or not hold.expires_at_ms or now_ms < hold.expires_at_ms) then
      return 'hold_not_expired'
    end
    end_hold(hold, id, seq, payouts, account, hold.amount)
    return 'payout_voided', step_fields(account, source, note), digits(account.available), '', hold.fingerprint
  end,
}
