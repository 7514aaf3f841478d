
-- Resources: campaigns and accounts as the jobs of this batch see them. `loaded` holds, by position in KEYS,
-- what was read and what earlier jobs of the batch made of it; `false` stands for absent, CORRUPT for what cannot be.
-- An account is one text, `<available> <held> <currency> <status> <seq>`, so that all accounts of a batch are read by one
-- command and written by one. Final values are written by HSET and MSET: HINCRBY on a value that someone else damaged
-- would fail after other writes had stayed, and MSET fails on no type.
-- gives   CORRUPT loaded absent any optional out_of_time set_room load_campaign read_accounts load_account
--         available_text change_campaign change_account lacks_account_rights write_resources
local CORRUPT = {}
local loaded = {}
local campaigns_changed, accounts_changed = {}, {}

-- A name in the index without its key was lost, not never there.
local function absent(member)
  local score = pcall_redis('ZSCORE', resources_key, member)
  if score then return CORRUPT end
  return false
end

local function any(fields, count)
  for i = 1, count do
    if fields[i] then return true end
  end
end

-- '' where a bound is absent, which reads as false; nil is damage.
local function optional(text)
  if text == '' then return false end
  return integer(text)
end

-- What a campaign answers to whoever comes before its time or after it; nil in between.
local function out_of_time(campaign)
  if campaign.status == 'closed' or (campaign.closes_at_ms and now_ms >= campaign.closes_at_ms) then return 'ended' end
  if campaign.opens_at_ms and now_ms < campaign.opens_at_ms then return 'not_started' end
end

-- How much it may issue in all: no more than it has codes that were never handed out. Once one of these is void, what it
-- has issued is no longer the number of its last code.
local function set_room(campaign)
  local has_codes = campaign.codes ~= ''
  campaign.room = has_codes and math.min(campaign.limit, campaign.codes_count - campaign.reversed) or campaign.limit
  campaign.has_gaps = has_codes and (campaign.reversed > 0 or campaign.returned ~= '')
end

local function load_campaign(position)
  local campaign = loaded[position]
  if campaign ~= nil then return campaign end
  local key, id = KEYS[position], name_at(position)
  local fields = pcall_redis('HMGET', key, 'limit', 'issued', 'per_customer', 'opens_at_ms', 'closes_at_ms', 'status',
    'codes', 'codes_count', 'seq', 'reversed', 'returned')
  if fields.err then
    campaign = CORRUPT
  elseif not any(fields, 11) then
    campaign = absent('campaign:' .. id)
  else
    campaign = {
      key = key, id = id, limit = integer(fields[1]), issued = integer(fields[2]), per_customer = optional(fields[3]),
      opens_at_ms = optional(fields[4]), closes_at_ms = optional(fields[5]), status = fields[6], codes = fields[7],
      codes_count = integer(fields[8]), reversed = integer(fields[10]),
      returned = fields[11],
    }
    if not (campaign.limit and campaign.issued and campaign.codes and campaign.codes_count and campaign.reversed and campaign.returned
        and integer(fields[9]))
        or campaign.per_customer == nil or campaign.opens_at_ms == nil or campaign.closes_at_ms == nil
        or campaign.issued > campaign.limit
        or (campaign.codes ~= '' and (campaign.limit > campaign.codes_count
          or campaign.issued + campaign.reversed > campaign.codes_count))
        or (campaign.status ~= 'open' and campaign.status ~= 'closed') then
      campaign = CORRUPT
    else
      campaign.out_of_time = out_of_time(campaign)
      set_room(campaign)
    end
  end
  loaded[position] = campaign
  return campaign
end

local account_texts = {}   -- position -> what was read under its key, false where there is no text

-- Reads the accounts of a run at once: from the first to the last of their keys. What else lies between is a hash, of
-- which MGET says nothing. `load_account` reads one that it does not find here.
local function read_accounts(first, last, width)
  local least, most = jobs[first], jobs[first]
  for at = first + width, last, width do
    local position = jobs[at]
    if position > most then most = position elseif position < least then least = position end
  end
  for from = least, most, 1000 do
    local texts = call('MGET', unpack(KEYS, from, math.min(from + 999, most)))
    for i = 1, #texts do account_texts[from + i - 1] = texts[i] end
  end
end

local function load_account(position)
  local account = loaded[position]
  if account ~= nil then return account end
  local key, id, text = KEYS[position], name_at(position), account_texts[position]
  -- MGET passes over what is of another type; GET says so.
  if not text then text = pcall_redis('GET', key) end
  if type(text) == 'string' then
    local available_text, held_text, currency, status, seq_at = match(text, '^(%d+) (%d+) (%u+) (%l+) ()%d+$')
    local available, held = of_digits(available_text), number_of[held_text] or of_digits(held_text)
    if available and held and available + held <= NUMBER_MAX
        and (#text - seq_at < 15 or of_digits(string.sub(text, seq_at)))
        and (status == 'open' or status == 'closed') then
      account = { key = key, id = id, available = available, held = held, currency = currency, status = status }
    else
      account = CORRUPT
    end
  else
    account = text and CORRUPT or absent('account:' .. id)
  end
  loaded[position] = account
  return account
end

-- What an account has available, as the journal shows it.
local function available_text(account) return account and digits(account.available) or '' end

-- Marks a campaign as changed by the line with this seq, to this issued; answers that as the journal has it.
local function change_campaign(campaign, seq, issued)
  if not campaign.seq then campaigns_changed[#campaigns_changed + 1] = campaign end
  campaign.seq, campaign.issued = seq, issued
  return halves(issued)
end

-- Likewise an account, to this available.
local function change_account(account, seq, available)
  if not account.seq then accounts_changed[#accounts_changed + 1] = account end
  account.seq, account.available, account.available_text = seq, available, digits(available)
  return account.available_text
end

-- The one right that only accounts need.
local function lacks_account_rights()
  return #accounts_changed > 0 and lacks_right('MSET', accounts_changed[1].key, '')
end

local function write_resources()
  for _, campaign in ipairs(campaigns_changed) do
    call('HSET', campaign.key, 'limit', digits(campaign.limit), 'issued', digits(campaign.issued),
      'status', campaign.status, 'seq', digits(campaign.seq))
    if campaign.created then
      call('HSET', campaign.key, unpack(campaign.created))
      call('ZADD', resources_key, 0, 'campaign:' .. campaign.id)
    end
    if campaign.holders then chunked('HSET', campaign.holders_key, campaign.holders) end
    if campaign.returned_changed then call('HSET', campaign.key, 'returned', campaign.returned) end
    if campaign.reversed_customers then
      call('HSET', campaign.key, 'reversed', digits(campaign.reversed))
      for _, customer in ipairs(campaign.reversed_customers) do
        if campaign.held[customer] == '0' then call('HDEL', campaign.holders_key, customer) end
      end
    end
  end
  local accounts, n = {}, 0
  for _, account in ipairs(accounts_changed) do
    accounts[n + 1], n = account.key, n + 2
    accounts[n] = account.available_text .. ' ' .. counted(account.held) .. ' ' .. account.currency .. ' ' .. account.status .. ' '
      .. counted(account.seq)
    if account.created then call('ZADD', resources_key, 0, 'account:' .. account.id) end
  end
  for from = 1, n, 1000 do call('MSET', unpack(accounts, from, math.min(from + 999, n))) end
end
