
-- campaign_create     fields   campaign campaign_key limit per_customer opens_at_ms closes_at_ms codes codes_key
--                              ('' where there is none)
--                     journal  campaign limit per_customer opens_at_ms closes_at_ms codes issued
kinds.campaign_create = {
  fields = 8,

  decide = function(at)
    local id, position, limit_text, most_text = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    local opens_text, closes_text, codes, codes_position = ARGV[at + 4], ARGV[at + 5], ARGV[at + 6], ARGV[at + 7]
    local limit, most = integer(limit_text), optional(most_text)
    local opens_at_ms, closes_at_ms = optional(opens_text), optional(closes_text)
    if not limit then return 'limit_out_of_range' end
    if most == nil or most == 0 then return 'quantity_out_of_range' end
    if opens_at_ms == nil or closes_at_ms == nil then return 'time_malformed' end

    local key = KEYS[integer(position)]
    local campaign = load_campaign(key, id)
    if campaign == CORRUPT then return 'corrupt_state' end
    local request = concat({ id, limit_text, most_text, opens_text, closes_text, codes, '' }, '\t')
    if campaign then return 'campaign_exists', request .. digits(campaign.issued) end
    -- Codes are uploaded before the campaign exists and never change after: redemption number n owns code n.
    if codes ~= '' and pcall_redis('HLEN', KEYS[integer(codes_position)]) ~= limit then return 'codes_incomplete' end

    campaign = {
      key = key, id = id, limit = limit, issued = 0, per_customer = most, opens_at_ms = opens_at_ms,
      closes_at_ms = closes_at_ms, status = 'open', codes = codes, codes_count = codes ~= '' and limit or 0,
      created = { 'per_customer', most_text, 'opens_at_ms', opens_text, 'closes_at_ms', closes_text,
        'codes', codes, 'codes_count', codes ~= '' and limit_text or '0' },
    }
    loaded[key] = campaign
    change_campaign(campaign)
    return 'campaign_created', request .. '0'
  end,
}
