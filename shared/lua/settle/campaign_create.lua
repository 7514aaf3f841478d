
-- campaign_create     fields   campaign (a position) limit per_customer opens_at_ms closes_at_ms
--                              codes (a position; '' where there is none)
--                     journal  campaign limit per_customer opens_at_ms closes_at_ms codes issued
kinds.campaign_create = {
  fields = 6,

  decide = function(at, seq)
    local position, limit_text, most_text = jobs[at], jobs[at + 1], jobs[at + 2]
    local opens_text, closes_text, codes_position = jobs[at + 3], jobs[at + 4], jobs[at + 5]
    local limit, most = integer(limit_text), optional(most_text)
    local opens_at_ms, closes_at_ms = optional(opens_text), optional(closes_text)
    if not limit then return 'limit_out_of_range' end
    if most == nil or most == 0 then return 'quantity_out_of_range' end
    if opens_at_ms == nil or closes_at_ms == nil then return 'time_malformed' end

    local id = name_at(position)
    local codes = codes_position ~= '' and name_at(codes_position) or ''
    local campaign = load_campaign(position)
    if campaign == CORRUPT then return 'corrupt_state' end
    local request = concat({ id, limit_text, most_text, opens_text, closes_text, codes }, '\t')
    if campaign then return 'campaign_exists', request, halves(campaign.issued) end
    -- Codes are uploaded before the campaign exists and never change after: the n-th redemption has code n.
    if codes ~= '' and pcall_redis('HLEN', KEYS[codes_position]) ~= limit then return 'codes_incomplete' end

    campaign = {
      key = KEYS[position], id = id, limit = limit, per_customer = most, opens_at_ms = opens_at_ms,
      closes_at_ms = closes_at_ms, status = 'open', codes = codes, codes_count = codes ~= '' and limit or 0, reversed = 0,
      returned = '',
      created = { 'per_customer', most_text, 'opens_at_ms', opens_text, 'closes_at_ms', closes_text,
        'codes', codes, 'codes_count', codes ~= '' and limit_text or '0', 'reversed', '0', 'returned', '' },
    }
    campaign.out_of_time = out_of_time(campaign)
    set_room(campaign)
    loaded[position] = campaign
    return 'campaign_created', request, change_campaign(campaign, seq, 0)
  end,
}
