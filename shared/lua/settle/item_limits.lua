
-- Limits that items have of their own, beside that of their inventory: what a customer has of such an item is a field of
-- buyers, `<customer>\t<item>`.
-- gives   add_limited passes_limit change_item_counts item_counts_text with_told refused_order

-- Adds an item to `limited` if it has a limit of its own, which stands in a bucket's text from `behind` on: how many the
-- customer has of it, and how many more it is to be. Answers whether it can be so, but for the limit.
local function add_limited(limited, inventory, customer, item, more, text, behind)
  if byte(text, behind) == 10 then return true end
  local most, name = of_digits(match(text, '^\t(%d+)\n', behind)), customer .. '\t' .. item
  local counts = inventory.counts
  if not counts[name] and not read_fields(counts, KEYS[inventory.position + 3], { name }) then return false end
  local held = integer(counts[name] or '0')
  if not (most and held) or held + more < 0 then return false end
  limited[#limited + 1] = { name = name, item = item, most = most, held = held, more = more }
  return true
end

-- Whether a limit of one of these items would be passed.
local function passes_limit(limited)
  for _, one in ipairs(limited) do
    if one.more > 0 and one.held + one.more > one.most then return true end
  end
end

-- Changes what the customer has of each; then `held` is how many these are.
local function change_item_counts(inventory, limited)
  for _, one in ipairs(limited) do
    local after = one.held + one.more
    change_count(inventory, 'item_counts', one.name, one.held, after)
    one.held = after
  end
end

-- What the customer has of each of these items, as the journal has it.
local function item_counts_text(limited)
  local words = {}
  for at, one in ipairs(limited or {}) do words[at] = '{' .. counted(one.held) .. ' ' .. one.item .. '}' end
  return concat(words)
end

-- What the journal shows last, in two pieces, and behind it these texts, as far as there is one.
local function with_told(first, last, ...)
  local words, n = { ... }, 0
  for at = 1, #words do
    if words[at] ~= '' then n = at end
  end
  if n == 0 then return first, last end
  return first .. (last or ''), '\t' .. concat(words, '\t', 1, n)
end

-- What a customer has of those items of these lines that have a limit of their own, lines_found being what was found of
-- them; nil if it cannot be read.
local function limited_of(inventory, customer, lines)
  local limited = {}
  for at = 1, #lines, 3 do
    local item, found = sub(lines[at], 2, -2), (at - 1) / 3 * 5
    if not add_limited(limited, inventory, customer, item, lines[at + 1], lines_found[found + 1], lines_found[found + 5]) then
      return nil
    end
  end
  return limited
end

-- What check_order goes on with where codes are handed out, or items have limits of their own.
check_more = function(inventory, customer, lines, before, units)
  if inventory.codes_count and units > tickets_left(inventory) then return 'sold_out', before end
  local limited
  if inventory.item_counts then
    limited = limited_of(inventory, customer, lines)
    if not limited then return 'corrupt_state' end
    if passes_limit(limited) then return 'customer_limit_reached', before, nil, limited end
  end
  if inventory.per_customer and before + units > inventory.per_customer then
    return 'customer_limit_reached', before, nil, limited
  end
  return nil, before, units, limited
end

-- What is answered to an order that gets nothing.
local function refused_order(inventory, position, customer, lines_text, code, before, limited)
  if not before and code ~= 'inventory_not_found' then return code end
  local request = concat({ name_at(position), customer, lines_text, before and counted(before) or '' }, '\t')
  local available = before and counted(inventory.available) or nil
  if code == 'inventory_not_found' or code == 'item_not_found' then return not_found(code, request, available) end
  return code, request, with_told(available, nil, item_counts_text(limited))
end
