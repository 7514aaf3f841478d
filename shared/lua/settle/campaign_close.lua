
-- campaign_close      fields   campaign campaign_key
--                     journal  campaign issued
kinds.campaign_close = {
  fields = 2,

  decide = function(at)
    local id, position = ARGV[at], ARGV[at + 1]
    local campaign = load_campaign(KEYS[integer(position)], id)
    if campaign == CORRUPT then return 'corrupt_state' end
    if not campaign then return 'campaign_not_found', id .. '\t' end
    local line = id .. '\t' .. digits(campaign.issued)
    if campaign.status == 'closed' then return 'ended', line end

    campaign.status = 'closed'
    change_campaign(campaign)
    return 'campaign_closed_now', line
  end,
}
