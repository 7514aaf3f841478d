
-- account_close  fields   account (a position)
--                journal  account available
kinds.account_close = {
  fields = 1,

  decide = function(at)
    local position = ARGV[at]
    local id = name_at(position)
    local account = load_account(position)
    if account == CORRUPT then return 'corrupt_state' end
    if not account then return not_found('account_not_found', id) end
    if account.status == 'closed' then return 'account_closed', id, account.available end
    if account.available + account.held > 0 then return 'account_not_empty', id, account.available end

    account.status = 'closed'
    change_account(account)
    return 'account_closed_now', id, account.available
  end,
}
