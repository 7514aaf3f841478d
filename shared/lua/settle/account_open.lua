
-- account_open   fields   account (a position) balance currency
--                journal  account balance currency available
kinds.account_open = {
  fields = 3,

  decide = function(at)
    local position, balance_text, currency = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local balance = integer(balance_text)
    if not balance then return 'amount_out_of_range' end

    local key, id = key_at(position), name_at(position)
    local account = load_account(position)
    if account == CORRUPT then return 'corrupt_state' end
    local request = id .. '\t' .. balance_text .. '\t' .. currency
    if account then return 'account_exists', request, account.available end

    account = { key = key, id = id, available = balance, held = 0, currency = currency, status = 'open', created = true }
    loaded[position] = account
    change_account(account)
    return 'account_opened', request, balance
  end,
}
