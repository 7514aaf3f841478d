
-- campaign_close      fields   campaign (a position)
--                     journal  campaign issued
kinds.campaign_close = {
  fields = 1,

  decide = function(at, seq)
    local position = jobs[at]
    local id = name_at(position)
    local campaign = load_campaign(position)
    if campaign == CORRUPT then return 'corrupt_state' end
    if not campaign then return not_found('campaign_not_found', id) end
    if campaign.status == 'closed' then return 'ended', id, halves(campaign.issued) end

    campaign.status, campaign.out_of_time = 'closed', 'ended'
    return 'closed', id, change_campaign(campaign, seq, campaign.issued)
  end,
}
