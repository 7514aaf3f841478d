
-- account_close  fields   account (a position)
--                journal  account available
kinds.account_close = {
  fields = 1,

  decide = function(at, seq)
    local position = jobs[at]
    local id = name_at(position)
    local account = load_account(position)
    if account == CORRUPT then return 'corrupt_state' end
    if not account then return not_found('account_not_found', id) end
    if account.status == 'closed' then return 'account_closed', id, digits(account.available) end
    if account.available + account.held > 0 then return 'account_not_empty', id, digits(account.available) end

    account.status = 'closed'
    return 'closed', id, change_account(account, seq, account.available)
  end,
}
