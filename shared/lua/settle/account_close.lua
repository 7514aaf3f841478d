
-- account_close  fields   account (a position)
--                journal  account available
kinds.account_close = {
  fields = 1,

  decide = function(at)
    local position = ARGV[at]
    local id = name_at(position)
    local account = load_account(position)
    if account == CORRUPT then return 'corrupt_state' end
    if not account then return 'account_not_found', id .. '\t' end
    local line = id .. '\t' .. digits(account.available)
    if account.status == 'closed' then return 'account_closed', line end
    if account.available + account.held > 0 then return 'account_not_empty', line end

    account.status = 'closed'
    change_account(account)
    return 'account_closed_now', line
  end,
}
