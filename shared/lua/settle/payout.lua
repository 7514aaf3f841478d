
-- payout    a withdrawal with a destination: holds the money; the payout steps pay, then post or void it
--           fields   account hold payouts (positions) amount currency destination hold_ttl_ms ('' for none)
--           journal  account amount currency destination available
kinds.payout = {
  fields = 7,
  cancel = { load = load_account, first = 3, last = 5, after = available_text },

  gather = read_accounts,

  -- A hold may outlive its receipt's bucket; it answers for its id as the receipt would.
  hold_of = function(at)
    local hold = load_hold(jobs[at + 1])
    if hold == CORRUPT then return CORRUPT_HOLD end
    if hold then return { hold.fingerprint, hold.state, hold.seq } end
  end,

  decide = function(at, seq, id, fingerprint)
    local position, hold_position, payouts = jobs[at], jobs[at + 1], KEYS[jobs[at + 2]]
    local amount_text, currency, destination, ttl_text = jobs[at + 3], jobs[at + 4], jobs[at + 5], jobs[at + 6]
    local amount, ttl_ms = integer(amount_text), optional(ttl_text)
    if not amount then return 'amount_out_of_range' end
    if amount == 0 then return 'amount_zero' end
    if ttl_ms == nil then return 'time_malformed' end

    local account_id, account = name_at(position), load_account(position)
    if account == CORRUPT or type(pcall_redis('ZCARD', payouts)) ~= 'number' then return 'corrupt_state' end
    local request = concat({ account_id, amount_text, currency, destination }, '\t')
    if not account then return not_found('account_not_found', request) end
    if account.status == 'closed' then return 'account_closed', request, digits(account.available) end
    if account.currency ~= currency then return 'currency_mismatch', request, digits(account.available) end
    if account.available < amount then return 'insufficient_funds', request, digits(account.available) end

    account.held = account.held + amount
    local available = change_account(account, seq, account.available - amount)
    local hold = {
      position = hold_position, key = KEYS[hold_position], account = account_id, amount = amount, currency = currency,
      destination = destination, fingerprint = fingerprint, state = 'held', attempts = 0, refused = 0, fence = 0,
      begin_key = '', lease_until_ms = 0, first_begin_at_ms = false, gateway = '', idempotency_key = '',
      expires_at_ms = ttl_ms and now_ms + ttl_ms,
    }
    loaded[hold_position] = hold
    change_hold(hold, id, seq, payouts, digits(now_ms))
    return 'held', request, available
  end,
}
