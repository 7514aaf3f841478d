
-- redeem    fields   campaign (a position; its holders follow it in KEYS) customer quantity
--           journal  campaign customer quantity issued
local customers_of = {}   -- campaign -> the customers that this batch names

-- All customers of the batch in one read: what this script costs is mostly the number of commands.
local function load_holders(campaign, position)
  campaign.holders_key = KEYS[position + 1]
  campaign.held, campaign.holders = {}, {}   -- customer -> count; { customer, count, … } to write
  campaign.damaged = fetch_into(campaign.held, campaign.holders_key, customers_of[position])
  -- Coupons are out, and none of these customers has one: are all of them new, or is it lost who has?
  if not campaign.damaged and campaign.issued > 0 and not next(campaign.held) then
    campaign.damaged = call('EXISTS', campaign.holders_key) == 0
  end
end

kinds.redeem = {
  fields = 3,
  cancel = { load = load_campaign, after = 'issued', first = 1, last = 2 },

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
    local request = (campaign and campaign.id or name_at(position)) .. '\t' .. customer .. '\t' .. quantity_text
    if not campaign then return not_found('campaign_not_found', request) end
    if campaign.codes ~= '' and quantity ~= 1 then return 'quantity_out_of_range' end

    if not campaign.held then load_holders(campaign, position) end
    if campaign.damaged then return 'corrupt_state' end
    local held_text, issued = campaign.held[customer], campaign.issued
    local held = not held_text and 0 or integer(held_text)
    if not held or held > issued then return 'corrupt_state' end

    if campaign.out_of_time then return campaign.out_of_time, request, halves(issued) end
    if issued + quantity > campaign.limit then return 'campaign_limit_reached', request, halves(issued) end
    local most = campaign.per_customer
    if most and held + quantity > most then return 'customer_limit_reached', request, halves(issued) end

    -- A first redemption leaves the count as it was asked for: nothing to format, and most are first ones.
    local holders, count = campaign.holders, held == 0 and quantity_text or digits(held + quantity)
    campaign.held[customer] = count
    local last = #holders
    holders[last + 1], holders[last + 2] = customer, count
    return 'redeemed', request, change_campaign(campaign, seq, issued + quantity)
  end,
}
