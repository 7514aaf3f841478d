
-- payout_begin   records an attempt before its request goes out, as unknown; mints its fence
--                fields   account hold payouts (positions) begin_key lease_ms retry (same_key or never)
--                         key_window_ms backoff_ms gateway idempotency_key
--                journal  account attempt fence gateway idempotency_key available
-- begin_key is the caller's own for this attempt: the same key again is the same attempt, never another.
-- The first attempt fixes the idempotency key for all that follow, whatever the caller would call it now. An attempt
-- at one gateway says nothing about another: while one is unknown, no other gateway is asked to pay.
local function begin_fields(account, hold)
  return concat({ account.id, digits(hold.attempts), digits(hold.fence), hold.gateway, hold.idempotency_key }, '\t')
end

kinds.payout_begin = {
  fields = 10,
  step = true,

  decide = function(at, seq, id)
    local begin_key = jobs[at + 3]
    local lease_ms, retry = integer(jobs[at + 4]), jobs[at + 5]
    local key_window_ms, backoff_ms = integer(jobs[at + 6]), integer(jobs[at + 7])
    local gateway, idempotency_key = jobs[at + 8], jobs[at + 9]
    local hold, account, payouts = load_step(at)
    if hold == CORRUPT or not lease_ms or not key_window_ms or not backoff_ms
        or gateway == '' or idempotency_key == '' then return 'corrupt_state' end
    if not hold then return answer_ended(id) end
    if hold.begin_key == begin_key and was_taken_back(hold) then return 'fenced' end
    if hold.begin_key == begin_key then return 'replayed:' .. hold.state .. ':' .. hold.seq end
    if hold.state == 'needs_review' then return 'replayed:needs_review:' .. hold.seq end
    if lease_runs(hold) then return 'lease_running' end
    if hold.attempts == 0 and hold.expires_at_ms and now_ms >= hold.expires_at_ms then return 'hold_expired' end

    if hold.attempts == 0 then hold.gateway, hold.idempotency_key = gateway, idempotency_key end
    local reason = hold.attempts > 0 and (hold.gateway ~= gateway and 'other_gateway'
      or retry ~= 'same_key' and 'no_retry'
      or now_ms - hold.first_begin_at_ms > key_window_ms and 'key_window_over')
    if reason then
      hold.state, hold.reason = 'needs_review', reason
      change_hold(hold, id, seq, payouts, REVIEW_SCORE)
      return 'needs_review', begin_fields(account, hold), digits(account.available), '', hold.fingerprint
    end

    hold.state, hold.begin_key = 'paying', begin_key
    hold.attempts = hold.attempts + 1
    hold.fence = math.max(hold.fence + 1, now_us)
    hold.lease_until_ms = now_ms + lease_ms
    hold.first_begin_at_ms = hold.first_begin_at_ms or now_ms
    change_hold(hold, id, seq, payouts, digits(hold.lease_until_ms + backoff_ms))
    told = { digits(hold.fence), hold.idempotency_key }
    return 'paying', begin_fields(account, hold), digits(account.available), '', hold.fingerprint
  end,
}
