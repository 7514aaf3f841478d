
-- deposit   fields   account (a position) amount currency
--           journal  account amount currency available
kinds.deposit = {
  fields = 3,

  gather = read_accounts,

  decide = function(at, seq)
    local position, amount_text, currency = jobs[at], jobs[at + 1], jobs[at + 2]
    local amount = integer(amount_text)
    if not amount then return 'amount_out_of_range' end
    if amount == 0 then return 'amount_zero' end

    local account = load_account(position)
    if account == CORRUPT then return 'corrupt_state' end
    local request = name_at(position) .. '\t' .. amount_text .. '\t' .. currency
    if not account then return not_found('account_not_found', request) end
    if account.status == 'closed' then return 'account_closed', request, digits(account.available) end
    if account.currency ~= currency then return 'currency_mismatch', request, digits(account.available) end
    if account.available + account.held + amount > NUMBER_MAX then
      return 'balance_limit_reached', request, digits(account.available)
    end

    return 'deposited', request, change_account(account, seq, account.available + amount)
  end,
}
