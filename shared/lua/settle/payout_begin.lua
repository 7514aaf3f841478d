
-- payout_begin   records an attempt before its request goes out, as unknown; mints its fence
--                fields   account hold payouts (positions) begin_key lease_ms retry (same_key or never)
--                         key_window_ms backoff_ms
--                journal  account attempt fence available
-- begin_key is the caller's own for this attempt: the same key again is the same attempt, never another.
kinds.payout_begin = {
  fields = 8,
  step = true,

  decide = function(at, id)
    local begin_key = ARGV[at + 3]
    local lease_ms, retry = integer(ARGV[at + 4]), ARGV[at + 5]
    local key_window_ms, backoff_ms = integer(ARGV[at + 6]), integer(ARGV[at + 7])
    local hold, account, payouts = load_step(at)
    if hold == CORRUPT or not lease_ms or not key_window_ms or not backoff_ms then return 'corrupt_state' end
    if not hold then return answer_ended(id) end
    if hold.begin_key == begin_key then return 'replayed:' .. hold.state .. ':' .. digits(hold.seq) end
    if hold.state == 'needs_review' then return 'replayed:needs_review:' .. digits(hold.seq) end
    if now_ms < hold.lease_until_ms then return 'lease_running' end
    if hold.attempts == 0 and hold.expires_at_ms and now_ms >= hold.expires_at_ms then return 'hold_expired' end

    local reason
    if hold.attempts > 0 and retry ~= 'same_key' then reason = 'no_retry' end
    if hold.attempts > 0 and now_ms - hold.first_begin_at_ms > key_window_ms then reason = 'key_window_over' end
    if reason then
      hold.state, hold.reason = 'needs_review', reason
      change_hold(hold, id, payouts, REVIEW_SCORE)
      return 'needs_review', step_fields(account, digits(hold.attempts), digits(hold.fence)), account.available, hold.fingerprint
    end

    hold.state, hold.begin_key = 'paying', begin_key
    hold.attempts = hold.attempts + 1
    hold.fence = math.max(hold.fence + 1, time[1] * 1000000 + time[2])
    hold.lease_until_ms = now_ms + lease_ms
    hold.first_begin_at_ms = hold.first_begin_at_ms or now_ms
    change_hold(hold, id, payouts, digits(hold.lease_until_ms + backoff_ms))
    return 'paying', step_fields(account, digits(hold.attempts), digits(hold.fence)), account.available, hold.fingerprint
  end,
}
