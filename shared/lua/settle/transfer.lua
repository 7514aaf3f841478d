
-- transfer  fields   from to (positions) amount currency
--           journal  from to amount currency to_available available
-- available is what from has after it. A cause that holds for both accounts is told once, of whichever has it.
kinds.transfer = {
  fields = 4,
  cancel = { load = load_account, first = 1, last = 3, second = true, after = function(from, at)
    local to = load_account(jobs[at + 1])
    if to == CORRUPT then return nil end
    return (from and to) and digits(to.available) .. '\t' .. digits(from.available) or '\t'
  end },

  decide = function(at, seq)
    local from_position, to_position, amount_text, currency = jobs[at], jobs[at + 1], jobs[at + 2], jobs[at + 3]
    local amount = integer(amount_text)
    if not amount then return 'amount_out_of_range' end
    if amount == 0 then return 'amount_zero' end
    if from_position == to_position then return 'same_account' end

    local from, to = load_account(from_position), load_account(to_position)
    if from == CORRUPT or to == CORRUPT then return 'corrupt_state' end
    local request = concat({ name_at(from_position), name_at(to_position), amount_text, currency }, '\t')
    if not (from and to) then return not_found('account_not_found', request .. '\t') end
    local refusal = (from.status == 'closed' or to.status == 'closed') and 'account_closed'
      or (from.currency ~= currency or to.currency ~= currency) and 'currency_mismatch'
      or from.available < amount and 'insufficient_funds'
      or to.available + to.held + amount > NUMBER_MAX and 'balance_limit_reached'
    if refusal then return refusal, request .. '\t' .. digits(to.available), digits(from.available) end

    local to_available = change_account(to, seq, to.available + amount)
    return 'transferred', request .. '\t' .. to_available, change_account(from, seq, from.available - amount)
  end,
}
