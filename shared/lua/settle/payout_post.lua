
-- payout_post    the money has left. Proof counts from any attempt, however old, as long as the hold is open.
--                fields   account hold payouts (positions) source (gateway or operator) note
--                journal  account source note spent available
-- spent is what has left the account by it: what was held, or nothing where the money had gone back.
kinds.payout_post = {
  fields = 5,
  step = true,

  decide = function(at, seq, id)
    local source, note = jobs[at + 3], jobs[at + 4]
    local hold, account, payouts = load_step(at)
    if hold == CORRUPT then return 'corrupt_state' end
    if not hold then
      local answer = answer_ended(id, 'paid')
      if answer ~= 'already_voided' or source ~= 'gateway' then return answer end
      -- Paid although we gave the money back: an alarm in the journal, never silence. Nothing else changes.
      return 'paid_after_void', step_fields(account, source, note .. '\t0'), digits(account.available), '', match(receipt_of[id], '^%x+')
    end
    if source ~= 'gateway' and lease_runs(hold) then return 'lease_running' end
    end_hold(hold, id, seq, payouts, account, 0)
    return 'paid', step_fields(account, source, note .. '\t' .. digits(hold.amount)), digits(account.available), '', hold.fingerprint
  end,
}
