
-- account_open   fields   account (a position) balance currency
--                journal  account balance currency available
kinds.account_open = {
  fields = 3,

  decide = function(at, seq)
    local position, balance_text, currency = jobs[at], jobs[at + 1], jobs[at + 2]
    local balance = integer(balance_text)
    if not balance then return 'amount_out_of_range' end

    local id = name_at(position)
    local account = load_account(position)
    if account == CORRUPT then return 'corrupt_state' end
    local request = id .. '\t' .. balance_text .. '\t' .. currency
    if account then return 'account_exists', request, digits(account.available) end

    account = { key = KEYS[position], id = id, held = 0, currency = currency, status = 'open', created = true }
    loaded[position] = account
    return 'account_opened', request, change_account(account, seq, balance)
  end,
}
