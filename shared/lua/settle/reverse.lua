
-- reverse   fields   campaign (a position; its holders follow it in KEYS) customer quantity receipts (a position) of
--                    reissue_code ('' or true)
--           journal  campaign customer quantity of reissue_code of_seq held issued code_number
-- A code that was handed out stays handed out: the campaign counts what was reversed, and the next code is after it. Only
-- where it is asked for does it wait to be handed out again, first of all: code_number is then its number, and else left out.
kinds.reverse = {
  fields = 6,

  gather = function(first, last, width)
    kinds.redeem.gather(first, last, width)
    gather_originals(first, last, width, 3)
  end,

  decide = function(at, seq)
    local position, customer, quantity_text, of = jobs[at], jobs[at + 1], jobs[at + 2], jobs[at + 4]
    local quantity = integer(quantity_text)
    if not quantity or quantity == 0 then return 'quantity_out_of_range' end

    local campaign = load_campaign(position)
    if campaign == CORRUPT then return 'corrupt_state' end
    if not campaign then return 'campaign_not_found' end
    if not campaign.held and not load_holders(campaign, position) then return 'corrupt_state' end
    local held = integer(campaign.held[customer] or '0')
    if not held or held > campaign.issued then return 'corrupt_state' end
    local original, problem = load_original(at + 3)
    if not original then return problem end
    local words = original.words
    if words[2] ~= 'redeem' or original.code ~= 'redeemed' then return 'nothing_to_give_back' end
    if words[4] ~= campaign.id or words[5] ~= customer or words[6] ~= quantity_text then return 'original_mismatch' end
    local reissues = jobs[at + 5] ~= ''
    if reissues and campaign.codes == '' then return 'no_code' end

    local request = concat({ campaign.id, customer, quantity_text, of, jobs[at + 5], original.seq }, '\t')
    if original.given_back > 0 then
      return 'already_reversed', request .. '\t' .. digits(held), digits(campaign.issued)
    end
    if held < quantity then return 'corrupt_state' end

    give_back(original, quantity, seq)
    local count = digits(held - quantity)
    campaign.held[customer] = count
    local holders, customers = campaign.holders, campaign.reversed_customers or {}
    holders[#holders + 1], holders[#holders + 2] = customer, count
    campaign.reversed_customers, customers[#customers + 1] = customers, customer
    local number = reissues and (words[9] or words[8])
    if number then
      campaign.returned = campaign.returned == '' and number or campaign.returned .. ',' .. number
      campaign.returned_changed = true
    else
      campaign.reversed = campaign.reversed + quantity
    end
    set_room(campaign)
    local first, last = change_campaign(campaign, seq, campaign.issued - quantity)
    return 'reversed', request .. '\t' .. count, first, number and last .. '\t' .. number or last
  end,
}
