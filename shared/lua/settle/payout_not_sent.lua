
-- payout_not_sent  the attempt of this fence has sent nothing: no connection to the gateway came about. Its begin is
--                  taken back, so it counts neither for the retry rule nor for the key window.
--                  fields   account hold payouts (positions) fence note pause_ms
--                  journal  account fence note available
-- Only whoever holds the fence may say so, and only before the first byte: what may have reached the gateway is
-- unknown. The hold keeps the fence, so that this step repeats as itself and a begin that comes late is another
-- attempt. If it was the only one, nothing ties the payout to a gateway or a key any more.
kinds.payout_not_sent = {
  fields = 6,
  step = true,

  decide = function(at, seq, id)
    local fence, note, pause_ms = jobs[at + 3], jobs[at + 4], integer(jobs[at + 5])
    local hold, account, payouts = load_step(at)
    if hold == CORRUPT or not pause_ms then return 'corrupt_state' end
    if not hold then return answer_ended(id) end
    if was_taken_back(hold) and digits(hold.fence) == fence then
      return 'replayed:' .. hold.state .. ':' .. hold.seq
    end
    if not is_current(hold, fence) then return 'fenced' end

    hold.attempts, hold.lease_until_ms = hold.attempts - 1, 0
    if hold.attempts == 0 then
      hold.state, hold.first_begin_at_ms, hold.gateway, hold.idempotency_key = 'held', false, '', ''
    end
    change_hold(hold, id, seq, payouts, digits(now_ms + pause_ms))
    return hold.state, step_fields(account, fence, note), digits(account.available), '', hold.fingerprint
  end,
}
