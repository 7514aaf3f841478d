
-- redeem    fields   campaign (a position; its holders follow it in KEYS) customer quantity
--           journal  campaign customer quantity held issued code_number
-- held is what the customer has of the campaign after it; code_number that of the code handed out, where
-- it is not issued, since redemptions were reversed, and else left out.
-- gives   load_holders
local customers_of = {}   -- campaign -> the customers that this batch names

-- All customers of the batch in one read: what this script costs is mostly the number of commands. Answers whether they
-- can be trusted; where they cannot, neither can the campaign.
local function load_holders(campaign, position)
  campaign.holders_key = KEYS[position + 1]
  campaign.held, campaign.holders = {}, {}   -- customer -> count; { customer, count, … } to write
  local damaged = fetch_into(campaign.held, campaign.holders_key, customers_of[position])
  -- Coupons are out, and none of these customers has one: are all of them new, or is it lost who has?
  if not damaged and campaign.issued > 0 and not next(campaign.held) then
    damaged = call('EXISTS', campaign.holders_key) == 0
  end
  if damaged then loaded[position] = CORRUPT end
  return not damaged
end

-- The code of the redemption that was just counted: one that was given back before one that never was handed out.
local function next_code(campaign)
  local number, rest = match(campaign.returned, '^(%d+),?(.*)$')
  if not number then return digits(campaign.issued + campaign.reversed) end
  campaign.returned, campaign.returned_changed = rest, true
  set_room(campaign)
  return number
end

kinds.redeem = {
  fields = 3,
  cancel = { load = load_campaign, first = 1, last = 2, after = function(campaign, at)
    if not campaign then return '\t' end
    if not campaign.held and not load_holders(campaign, jobs[at]) then return nil end
    local held_text = campaign.held[jobs[at + 1]] or '0'
    local held = integer(held_text)
    return held and held <= campaign.issued and held_text .. '\t' .. counted(campaign.issued)
  end },

  gather = function(first, last, width)
    local before, customers, n
    for at = first, last, width do
      local position = jobs[at]
      if position ~= before then
        customers = customers_of[position] or {}
        customers_of[position], before, n = customers, position, #customers
      end
      n = n + 1
      customers[n] = jobs[at + 1]
    end
  end,

  decide = function(at, seq)
    local jobs = jobs
    local position, customer, quantity_text = jobs[at], jobs[at + 1], jobs[at + 2]
    local quantity = number_of[quantity_text] or integer(quantity_text)
    if not quantity or quantity == 0 then return 'quantity_out_of_range' end

    local campaign = loaded[position] or load_campaign(position)
    if campaign == CORRUPT then return 'corrupt_state' end
    if not campaign then
      return not_found('campaign_not_found', concat({ name_at(position), customer, quantity_text, '' }, '\t'))
    end
    if campaign.codes ~= '' and quantity ~= 1 then return 'quantity_out_of_range' end

    if not campaign.held and not load_holders(campaign, position) then return 'corrupt_state' end
    local issued, most = campaign.issued, campaign.per_customer
    local held_text = campaign.held[customer] or '0'
    local held = number_of[held_text] or integer(held_text)
    if not held or held > issued then return 'corrupt_state' end

    local refusal = campaign.out_of_time
      or issued + quantity > campaign.room and 'campaign_limit_reached'
      or most and held + quantity > most and 'customer_limit_reached'
    if refusal then
      return refusal, campaign.id .. '\t' .. customer .. '\t' .. quantity_text .. '\t' .. held_text, halves(issued)
    end

    -- A first redemption leaves the count as it was asked for: nothing to format, and most are first ones.
    local holders, count = campaign.holders, held == 0 and quantity_text or digits(held + quantity)
    campaign.held[customer] = count
    local last = #holders
    holders[last + 1], holders[last + 2] = customer, count
    local request = campaign.id .. '\t' .. customer .. '\t' .. quantity_text .. '\t' .. count
    if campaign.has_gaps then
      local first, last = change_campaign(campaign, seq, issued + quantity)
      return 'redeemed', request, first, last .. '\t' .. next_code(campaign)
    end
    return 'redeemed', request, change_campaign(campaign, seq, issued + quantity)
  end,
}
