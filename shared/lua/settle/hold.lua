
-- Holds: withdrawals that are on their way out. A hold belongs to its job's id; its row is the state of the
-- payout, `payouts` says when somebody has to look at it next (member: account TAB id, neither of which holds a
-- TAB, so that whoever looks knows whose turn it is without reading the row). Only the kinds payout and payout_* use them.
-- A step has no receipt of its own: begin repeats by its key, every other step by the state it left.
--         answer_ended
--         answer_ended
--         answer_ended
-- gives   REVIEW_SCORE load_hold load_step change_hold end_hold lease_runs was_taken_back is_current step_fields
--         answer_ended
local holds_changed = {}
local REVIEW_SCORE = '9007199254740991'   -- nobody looks by itself: an operator does

local function load_hold(position)
  local hold = loaded[position]
  if hold ~= nil then return hold end
  local key = KEYS[position]
  local fields = pcall_redis('HMGET', key, 'account', 'amount', 'currency', 'destination', 'fingerprint', 'state',
    'attempts', 'refused', 'fence', 'begin_key', 'lease_until_ms', 'first_begin_at_ms', 'expires_at_ms', 'seq',
    'gateway', 'idempotency_key')
  if fields.err then
    hold = CORRUPT
  elseif not any(fields, 14) then
    hold = false
  else
    hold = {
      position = position, key = key, account = fields[1], amount = integer(fields[2]), currency = fields[3], destination = fields[4],
      fingerprint = fields[5], state = fields[6], attempts = integer(fields[7]), refused = integer(fields[8]),
      fence = integer(fields[9]), begin_key = fields[10], lease_until_ms = integer(fields[11]),
      first_begin_at_ms = optional(fields[12]), expires_at_ms = optional(fields[13]), seq = integer(fields[14]) and fields[14],
      gateway = fields[15], idempotency_key = fields[16],
    }
    if not (hold.account and hold.amount and hold.currency and hold.destination and hold.fingerprint
        and hold.attempts and hold.refused and hold.fence and hold.begin_key and hold.lease_until_ms and hold.seq
        and hold.gateway and hold.idempotency_key)
        or hold.first_begin_at_ms == nil or hold.expires_at_ms == nil
        or (hold.attempts > 0 and (not hold.first_begin_at_ms or hold.gateway == '' or hold.idempotency_key == ''))
        or (hold.state ~= 'held' and hold.state ~= 'paying' and hold.state ~= 'needs_review') then
      hold = CORRUPT
    end
  end
  loaded[position] = hold
  return hold
end

-- Reads what every step needs: the hold (false when it has ended) and its account. Answers CORRUPT where
-- one of them, or `payouts`, cannot be trusted.
local function load_step(at)
  local hold, account, payouts = load_hold(jobs[at + 1]), load_account(jobs[at]), KEYS[jobs[at + 2]]
  if hold == CORRUPT or account == CORRUPT or not account then return CORRUPT end
  if type(pcall_redis('ZCARD', payouts)) ~= 'number' then return CORRUPT end
  -- The money of an open hold is on its account, or something is damaged.
  if hold and (hold.account ~= account.id or account.held < hold.amount) then return CORRUPT end
  return hold, account, payouts
end

-- Marks a hold as changed by the line that is being decided; `due_at_ms` is when to look again.
local function change_hold(hold, id, seq, payouts, due_at_ms)
  if not hold.changed then
    hold.changed, hold.id, hold.payouts = true, id, payouts
    holds_changed[#holds_changed + 1] = hold
  end
  hold.seq, hold.due_at_ms = digits(seq), due_at_ms
end

-- Ends a hold: its money leaves (post) or goes back (void, refuse).
local function end_hold(hold, id, seq, payouts, account, returned)
  account.held = account.held - hold.amount
  change_account(account, seq, account.available + returned)
  change_hold(hold, id, seq, payouts)
  hold.ended = true
  loaded[hold.position] = false
end

-- Whether an attempt may still be under way. No lease is longer than this, so one that has more time left was begun
-- before the clock went back, and is over as it would be had the clock gone forward: what protects a payout from its
-- own first attempt is the gateway's key, never a clock.
local LEASE_MS_MAX = 601000   -- the longest --payout-timeout and its margin
local function lease_runs(hold)
  return now_ms < hold.lease_until_ms and hold.lease_until_ms - now_ms <= LEASE_MS_MAX
end

-- Whether the latest attempt turned out to have sent nothing. A lease that has run keeps its time.
local function was_taken_back(hold)
  return hold.fence > 0 and hold.lease_until_ms == 0
end

-- Whether an attempt with this fence is the latest, and may have been sent.
local function is_current(hold, fence)
  return hold.state == 'paying' and digits(hold.fence) == fence and not was_taken_back(hold)
end

local function step_fields(account, first, second)
  return concat({ account.id, first, second }, '\t')
end

-- What a step answers when the hold has ended: the job's receipt knows how.
local function answer_ended(id, wanted)
  local receipt = receipt_of[id]
  local _, code, stored_seq
  if receipt then _, code, stored_seq = read_receipt(receipt) end
  if code and code == wanted then return 'replayed:' .. code .. ':' .. stored_seq end
  if code == 'paid' or code == 'paid_after_void' then return 'already_posted' end
  if code == 'payout_voided' or code == 'payout_refused' then return 'already_voided' end
  return 'payout_not_open'
end

writers[#writers + 1] = function()
  for _, hold in ipairs(holds_changed) do
    if hold.ended then
      call('DEL', hold.key)
      call('ZREM', hold.payouts, hold.account .. '\t' .. hold.id)
    else
      call('HSET', hold.key, 'account', hold.account, 'amount', digits(hold.amount), 'currency', hold.currency,
        'destination', hold.destination, 'fingerprint', hold.fingerprint, 'state', hold.state,
        'attempts', digits(hold.attempts), 'refused', digits(hold.refused), 'fence', digits(hold.fence),
        'begin_key', hold.begin_key, 'lease_until_ms', digits(hold.lease_until_ms),
        'first_begin_at_ms', hold.first_begin_at_ms and digits(hold.first_begin_at_ms) or '',
        'expires_at_ms', hold.expires_at_ms and digits(hold.expires_at_ms) or '',
        'gateway', hold.gateway, 'idempotency_key', hold.idempotency_key,
        'since_ms', digits(now_ms), 'reason', hold.reason or '', 'seq', hold.seq)
      call('ZADD', hold.payouts, hold.due_at_ms, hold.account .. '\t' .. hold.id)
    end
  end
end
