
-- campaign_set_limit  fields   campaign (a position) limit expected ('' where none is)
--                     journal  campaign limit expected issued
kinds.campaign_set_limit = {
  fields = 3,

  decide = function(at, seq)
    local position, limit_text, expected_text = jobs[at], jobs[at + 1], jobs[at + 2]
    local limit, expected = integer(limit_text), optional(expected_text)
    if not limit or expected == nil then return 'limit_out_of_range' end

    local campaign = load_campaign(position)
    if campaign == CORRUPT then return 'corrupt_state' end
    local request = name_at(position) .. '\t' .. limit_text .. '\t' .. expected_text
    if not campaign then return not_found('campaign_not_found', request) end
    if expected and expected ~= campaign.limit then return 'limit_not_as_expected', request, halves(campaign.issued) end
    if limit < campaign.issued then return 'limit_below_issued', request, halves(campaign.issued) end
    if campaign.codes ~= '' and limit > campaign.codes_count then return 'limit_above_codes', request, halves(campaign.issued) end

    campaign.limit = limit
    set_room(campaign)
    return 'limit_set', request, change_campaign(campaign, seq, campaign.issued)
  end,
}
