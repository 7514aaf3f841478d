
-- refund    fields   account receipts (positions) of amount
--           journal  account of amount of_seq refunded available
-- The money comes from nowhere, like that of a deposit: of a payout it is with the bank, and stays there.
kinds.refund = {
  fields = 4,

  gather = function(first, last, width) gather_originals(first, last, width, 1) end,

  decide = function(at, seq)
    local position, of, amount_text = jobs[at], jobs[at + 2], jobs[at + 3]
    local amount = integer(amount_text)
    if not amount then return 'amount_out_of_range' end
    if amount == 0 then return 'amount_zero' end

    local account = load_account(position)
    if account == CORRUPT then return 'corrupt_state' end
    if not account then return 'account_not_found' end
    local original, problem = load_original(at + 1)
    if not original then return problem end
    local kind, code, words = original.words[2], original.code, original.words
    if code == 'held' or code == 'paying' or code == 'needs_review' then return 'payout_not_paid' end
    local taken = kind == 'withdraw' and code == 'withdrawn' and words[5]
      or kind == 'payout_post' and code == 'paid' and words[7]
    if not taken then return 'nothing_to_give_back' end
    if words[4] ~= account.id then return 'original_mismatch' end
    taken = integer(taken)
    if not taken then return 'corrupt_state' end

    local function request()
      return concat({ account.id, of, amount_text, original.seq, digits(original.given_back) }, '\t')
    end
    if account.status == 'closed' then return 'account_closed', request(), digits(account.available) end
    if account.available + account.held + amount > NUMBER_MAX then
      return 'balance_limit_reached', request(), digits(account.available)
    end
    if original.given_back + amount > taken then return 'refund_exceeds', request(), digits(account.available) end

    give_back(original, amount, seq)
    return 'refunded', request(), change_account(account, seq, account.available + amount)
  end,
}
