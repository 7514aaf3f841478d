
-- account_close  fields   account account_key
--                journal  account available
kinds.account_close = {
  fields = 2,

  decide = function(at)
    local id, position = ARGV[at], ARGV[at + 1]
    local account = load_account(KEYS[integer(position)], id)
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
