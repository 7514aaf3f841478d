
-- Resources: campaigns and accounts as the jobs of this batch see them. `loaded` holds, by position in KEYS,
-- what was read and what earlier jobs of the batch made of it; `false` stands for absent, CORRUPT for what cannot be.
-- Final values are written by HSET: HINCRBY on a value that someone else damaged would fail after other
-- writes had stayed.
--         write_resources
--         write_resources
--         write_resources
-- gives   CORRUPT loaded absent any optional out_of_time load_campaign load_account available_text change_campaign change_account
--         write_resources
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

local function load_campaign(position)
  local campaign = loaded[position]
  if campaign ~= nil then return campaign end
  local key, id = KEYS[position], name_at(position)
  local fields = pcall_redis('HMGET', key, 'limit', 'issued', 'per_customer', 'opens_at_ms', 'closes_at_ms', 'status',
    'codes', 'codes_count', 'seq')
  if fields.err then
    campaign = CORRUPT
  elseif not any(fields, 9) then
    campaign = absent('campaign:' .. id)
  else
    campaign = {
      key = key, id = id, limit = integer(fields[1]), issued = integer(fields[2]), per_customer = optional(fields[3]),
      opens_at_ms = optional(fields[4]), closes_at_ms = optional(fields[5]), status = fields[6], codes = fields[7],
      codes_count = integer(fields[8]),
    }
    if not (campaign.limit and campaign.issued and campaign.codes and campaign.codes_count and integer(fields[9]))
        or campaign.per_customer == nil or campaign.opens_at_ms == nil or campaign.closes_at_ms == nil
        or campaign.issued > campaign.limit
        or (campaign.codes ~= '' and campaign.limit > campaign.codes_count)
        or (campaign.status ~= 'open' and campaign.status ~= 'closed') then
      campaign = CORRUPT
    else
      campaign.out_of_time = out_of_time(campaign)
    end
  end
  loaded[position] = campaign
  return campaign
end

local function load_account(position)
  local account = loaded[position]
  if account ~= nil then return account end
  local key, id = KEYS[position], name_at(position)
  local fields = pcall_redis('HMGET', key, 'available', 'held', 'currency', 'status', 'seq')
  local available, held, currency, status = integer(fields[1]), integer(fields[2]), fields[3], fields[4]
  if available and held and available + held <= NUMBER_MAX and currency and integer(fields[5])
      and (status == 'open' or status == 'closed') then
    account = { key = key, id = id, available = available, held = held, currency = currency, status = status }
  elseif fields.err or any(fields, 5) then
    account = CORRUPT
  else
    account = absent('account:' .. id)
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

local function write_resources()
  for _, campaign in ipairs(campaigns_changed) do
    call('HSET', campaign.key, 'limit', digits(campaign.limit), 'issued', digits(campaign.issued),
      'status', campaign.status, 'seq', digits(campaign.seq))
    if campaign.created then
      call('HSET', campaign.key, unpack(campaign.created))
      call('ZADD', resources_key, 0, 'campaign:' .. campaign.id)
    end
    if campaign.holders then chunked('HSET', campaign.holders_key, campaign.holders) end
  end
  for _, account in ipairs(accounts_changed) do
    call('HSET', account.key, 'available', account.available_text, 'seq', counted(account.seq))
    if account.held_changed or account.created then call('HSET', account.key, 'held', digits(account.held)) end
    if account.created then
      call('HSET', account.key, 'currency', account.currency, 'status', 'open')
      call('ZADD', resources_key, 0, 'account:' .. account.id)
    end
    if account.status == 'closed' then call('HSET', account.key, 'status', 'closed') end
  end
end
