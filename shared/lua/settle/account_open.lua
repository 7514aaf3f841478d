
-- account_open   fields   account account_key balance currency
--                journal  account balance currency available
kinds.account_open = {
  fields = 4,

  decide = function(at)
    local id, position, balance_text, currency = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    local balance = integer(balance_text)
    if not balance then return 'amount_out_of_range' end

    local key = KEYS[integer(position)]
    local account = load_account(key, id)
    if account == CORRUPT then return 'corrupt_state' end
    local request = id .. '\t' .. balance_text .. '\t' .. currency .. '\t'
    if account then return 'account_exists', request .. digits(account.available) end

    account = { key = key, id = id, available = balance, held = 0, currency = currency, status = 'open', created = true }
    loaded[key] = account
    change_account(account)
    return 'account_opened', request .. digits(balance)
  end,
}
