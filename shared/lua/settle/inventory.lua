
-- Inventories: what the jobs of this batch see of them, and of their items, buyers and orders. In KEYS an inventory is
-- followed by its items, stock, buyers and orders, and by the partition's reservations; all of them are known from its name.
--
-- Items lie some 8 to a field, by a hash of their names: `\n<item>\t<on hand>\t<reserved>\n…`. An item that was never
-- sold from is where the upload put it, in stock, which never changes; the first change of a bucket copies it to items.
-- An item that has a limit per customer of its own has it behind the two numbers, after a TAB; what a customer has of it
-- is a field of buyers, `<customer>\t<item>`, and `item_counts` says how many such there are ('' where no item has one).
-- An order is one field: state, seq of its receipt, hold_until_ms, fingerprint, customer, and its lines, each
-- `{<reserved>,<sold>,<given back> <item>}`, or `{<quantity> <item>}` where all of it is what the state says. A TAB between
-- two; hold_until_ms and fingerprint are empty for a purchase.
-- `copied`, `buyers` with `item_counts`, and `orders` of the inventory count the fields of these keys: one that is gone is
-- damage.
-- gives   WHY_ENDED set_plain load_inventory bucket_of prepare read_fields begin_of find_item put_item change_item change_inventory put_order
--         change_count lines_found check_more sub byte
--         count_of gather_lines check_order take_lines order_after check_change refused_change orders_of
--         parse_order gmatch
local find, sub, byte, gmatch = string.find, string.sub, string.byte, string.gmatch
-- What an inventory that does not sell answers, by its status.
local WHY_ENDED = { loading = 'not_started', closed = 'ended', cancelled = 'inventory_cancelled',
  archived = 'inventory_archived' }
local inventories_changed = {}
local lines_of, buyers_of, orders_of = {}, {}, {}   -- position -> lines taken apart, customers and orders that this batch names
local lines_found = {}   -- by the lines that check_order has looked at, five for each: what find_item says of it, text first
local parse_order   -- of reservation.lua
local check_more   -- of item_limits.lua

-- Most neither hand out codes nor limit single items: their orders ask once whether it is so, and pay for neither.
local function set_plain(inventory) inventory.is_plain = not (inventory.item_counts or inventory.codes_count) end

local function load_inventory(position)
  local inventory = loaded[position]
  if inventory ~= nil then return inventory end
  local key, id = KEYS[position], name_at(position)
  local fields = pcall_redis('HMGET', key, 'available', 'reserved', 'sold', 'per_customer', 'opens_at_ms', 'closes_at_ms',
    'status', 'stock', 'items', 'buckets', 'copied', 'buyers', 'orders', 'open', 'item_counts', 'codes_count', 'tickets', 'seq')
  if fields.err then
    inventory = CORRUPT
  elseif not any(fields, 18) then
    inventory = absent('inventory:' .. id)
  else
    local status = fields[7]
    inventory = {
      position = position, key = key, id = id, available = integer(fields[1]), reserved = integer(fields[2]),
      sold = integer(fields[3]), per_customer = optional(fields[4]), opens_at_ms = optional(fields[5]),
      closes_at_ms = optional(fields[6]), status = status, bucket_count = integer(fields[10]), copied = integer(fields[11]),
      buyers = integer(fields[12]), orders = integer(fields[13]), open = integer(fields[14]),
      item_counts = optional(fields[15]), codes_count = optional(fields[16]), tickets = optional(fields[17]),
    }
    if not (inventory.available and inventory.reserved and inventory.sold and fields[8] and integer(fields[9])
        and inventory.bucket_count and inventory.copied and inventory.buyers and inventory.orders and inventory.open and integer(fields[18]))
        or inventory.per_customer == nil or inventory.opens_at_ms == nil or inventory.closes_at_ms == nil or inventory.item_counts == nil
        or inventory.codes_count == nil or inventory.tickets == nil or not inventory.codes_count ~= not inventory.tickets
        or (inventory.codes_count and (tickets_left(inventory) < 0 or inventory.sold > inventory.tickets))
        or (status ~= 'open' and not WHY_ENDED[status])
        or (status == 'open' and inventory.bucket_count == 0) then
      inventory = CORRUPT
    else
      inventory.out_of_time = WHY_ENDED[status] or out_of_time(inventory)
      set_plain(inventory)
    end
  end
  loaded[position] = inventory
  return inventory
end

-- An item's bucket is its hash, modulo the buckets. The hash is its bytes, as the digits of a number to the base 1664525,
-- modulo 2^32 - 5: no step is above 2^53. With the lines of a job comes the hash of each item; this is for the others.
local function bucket_of(inventory, item)
  local number = inventory.bucket_numbers[item]
  if number then return number end
  local hash = 0
  for at = 1, #item do hash = (hash * 1664525 + byte(item, at)) % 4294967291 end
  number = counted(hash % inventory.bucket_count)
  inventory.bucket_numbers[item] = number
  return number
end

-- Reads these fields of a hash into `target`; answers those that are not there, or nil if it cannot be read.
local function read_fields(target, key, names)
  local missing = {}
  for first = 1, #names, 1000 do
    local last = math.min(first + 999, #names)
    local found = pcall_redis('HMGET', key, unpack(names, first, last))
    if found.err then return nil end
    for at = first, last do
      local text = found[at - first + 1]
      if text then target[names[at]] = text else missing[#missing + 1] = names[at] end
    end
  end
  return missing
end

-- Reads these buckets, as far as they were not; answers whether all could be read.
local function read_buckets(inventory, numbers)
  local texts, is_copied, wanted, n = inventory.texts, inventory.is_copied, {}, 0
  for _, number in ipairs(numbers) do
    if is_copied[number] == nil then
      n = n + 1
      wanted[n], is_copied[number] = number, true
    end
  end
  if n == 0 then return true end
  local position = inventory.position
  local untouched = read_fields(texts, KEYS[position + 1], wanted)
  if not untouched then return false end
  for _, number in ipairs(untouched) do is_copied[number] = false end
  local lost = #untouched > 0 and read_fields(texts, KEYS[position + 2], untouched) or untouched
  return lost and #lost == 0
end

-- All that the batch needs of an inventory, in as few reads as there are keys.
local function prepare(inventory)
  if inventory.texts then return end
  inventory.texts, inventory.is_copied, inventory.bucket_numbers = {}, {}, {}
  inventory.counts, inventory.rows, inventory.due = {}, {}, {}
  inventory.buckets_changed, inventory.counts_changed, inventory.orders_changed = {}, { n = 0 }, { n = 0 }
  local position = inventory.position
  if pcall_redis('HLEN', KEYS[position + 1]) ~= inventory.copied
      or pcall_redis('HLEN', KEYS[position + 3]) ~= inventory.buyers + (inventory.item_counts or 0)
      or pcall_redis('HLEN', KEYS[position + 4]) ~= inventory.orders
      or type(pcall_redis('ZCARD', KEYS[position + 5])) ~= 'number' then
    inventory.damaged = true
    return
  end
  local customers, lines, ids, numbers = buyers_of[position] or {}, lines_of[position] or {}, orders_of[position], {}
  if ids then
    if not read_fields(inventory.rows, KEYS[position + 4], ids) then inventory.damaged = true end
    for _, id in ipairs(ids) do
      local row = inventory.rows[id] or false
      local order = row and parse_order(row)
      inventory.rows[id] = row
      if order and order ~= CORRUPT then
        customers[#customers + 1] = order.customer
        for _, line in ipairs(order.parts) do numbers[#numbers + 1] = bucket_of(inventory, line.item) end
      end
    end
  end
  if #customers > 0 and not read_fields(inventory.counts, KEYS[position + 3], customers) then inventory.damaged = true end
  if inventory.bucket_count > 0 then
    local n, bucket_count = #numbers, inventory.bucket_count
    for _, parts in ipairs(lines) do
      for at = 3, #parts, 3 do
        local number = counted(parts[at] % bucket_count)
        n = n + 1
        numbers[n], parts[at] = number, number
      end
    end
    if not read_buckets(inventory, numbers) then inventory.damaged = true end
  end
end

-- What there is of an item of this bucket, named as its text begins it: on hand, reserved, where in the bucket's text the two
-- numbers are, and that text; nil if there is no such item, false if it cannot be read.
local function find_item(inventory, begin, number)
  local text = inventory.texts[number]
  if not text then
    if not read_buckets(inventory, { number }) then return false end
    text = inventory.texts[number]
  end
  local _, before = find(text, begin, 1, true)
  if not before then return nil end
  local on_hand_text, reserved_text, behind = match(text, '^(%d+)\t(%d+)()%c', before + 1)
  local on_hand, reserved = of_digits(on_hand_text), number_of[reserved_text] or integer(reserved_text)
  if not (on_hand and reserved and reserved <= on_hand) then return false end
  return on_hand, reserved, before, behind, text
end

local function put_item(inventory, number, text, before, behind, on_hand, reserved)
  inventory.texts[number] = sub(text, 1, before) .. counted(on_hand) .. '\t' .. counted(reserved) .. sub(text, behind)
  inventory.buckets_changed[number] = true
  if not inventory.is_copied[number] then
    inventory.is_copied[number], inventory.copied = true, inventory.copied + 1
  end
end

local function begin_of(item) return '\n' .. item .. '\t' end

-- Changes what is on hand and what is reserved of an item that has been found.
local function change_item(inventory, item, more_on_hand, more_reserved)
  local number = bucket_of(inventory, item)
  local on_hand, reserved, before, behind, text = find_item(inventory, begin_of(item), number)
  put_item(inventory, number, text, before, behind, on_hand + more_on_hand, reserved + more_reserved)
end

-- How many units a customer has; nil if that cannot be read.
local function count_of(inventory, customer)
  local text = inventory.counts[customer]
  if not text then return 0 end
  local count = integer(text)
  if count and count <= inventory.sold + inventory.reserved then return count end
end

-- `of` says how many such fields there are: buyers, or item_counts.
local function change_count(inventory, of, name, before, after)
  local text, changed = counted(after), inventory.counts_changed
  local last = changed.n
  changed.n = last + 2
  if before == 0 then inventory[of] = inventory[of] + 1 end
  if after == 0 then inventory[of] = inventory[of] - 1 end
  inventory.counts[name], changed[last + 1], changed[last + 2] = text, name, text
  return text
end

local function put_order(inventory, id, row)
  local rows, changed = inventory.rows, inventory.orders_changed
  local last = changed.n
  changed.n = last + 2
  if not rows[id] then inventory.orders = inventory.orders + 1 end
  rows[id], changed[last + 1], changed[last + 2] = row, id, row
end

-- Marks an inventory as changed by the line with this seq; answers what can be sold after it, as the journal has it.
local function change_inventory(inventory, seq, available)
  if not inventory.seq then inventories_changed[#inventories_changed + 1] = inventory end
  inventory.seq, inventory.available = seq, available
  return halves(available)
end

-- Of a run of orders: its customers and its lines. The customer follows the inventory, the lines taken apart are the last
-- of each job's fields.
local function gather_lines(first, last, width)
  local before, customers, lines, n
  for at = first, last, width do
    local position = jobs[at]
    if position ~= before then
      customers, lines = buyers_of[position] or {}, lines_of[position] or {}
      buyers_of[position], lines_of[position], before, n = customers, lines, position, #customers
    end
    n = n + 1
    customers[n], lines[n] = jobs[at + 1], jobs[at + width - COMMON_FIELDS - 1]
  end
end

-- Whether a customer may have all of these lines, which are the text that begins an item, a quantity and a bucket in turn:
-- a code, or nil; how many units they have already, if that is known, how many more these are, and those of the items that
-- have a limit of their own, where it comes to that. Then take_lines knows where they are.
local function check_order(inventory, customer, lines)
  if inventory == CORRUPT then return 'corrupt_state' end
  if not inventory then return 'inventory_not_found' end
  prepare(inventory)
  local before = not inventory.damaged and count_of(inventory, customer)
  if not before then return 'corrupt_state' end
  if inventory.bucket_count == 0 then return inventory.out_of_time, before end
  local units, is_short, n = 0, false, 0
  for at = 1, #lines, 3 do
    local quantity = lines[at + 1]
    local on_hand, reserved, first, last, text = find_item(inventory, lines[at], lines[at + 2])
    if not on_hand then
      if on_hand == nil then return 'item_not_found', before end
      return 'corrupt_state'
    end
    if on_hand - reserved < quantity then is_short = true end
    units = units + quantity
    lines_found[n + 1], lines_found[n + 2], lines_found[n + 3], lines_found[n + 4], lines_found[n + 5], n =
      text, on_hand, reserved, first, last, n + 5
  end
  if units == 0 or units > NUMBER_MAX then return 'quantity_out_of_range' end
  if inventory.out_of_time then return inventory.out_of_time, before end
  if is_short then return 'sold_out', before end
  if units > inventory.available then return 'corrupt_state' end
  if not inventory.is_plain then return check_more(inventory, customer, lines, before, units) end
  if inventory.per_customer and before + units > inventory.per_customer then return 'customer_limit_reached', before end
  return nil, before, units
end

-- Takes the lines that check_order has just looked at: what is on hand of each changes by so many times its quantity, and
-- what is reserved likewise. Where two lie in one bucket, the second is looked for again.
local function take_lines(inventory, lines, on_hand_by, reserved_by)
  local texts, n = inventory.texts, 0
  for at = 1, #lines, 3 do
    local quantity, number = lines[at + 1], lines[at + 2]
    local text, on_hand, reserved = lines_found[n + 1], lines_found[n + 2], lines_found[n + 3]
    local first, last = lines_found[n + 4], lines_found[n + 5]
    if texts[number] ~= text then on_hand, reserved, first, last, text = find_item(inventory, lines[at], number) end
    put_item(inventory, number, text, first, last, on_hand + on_hand_by * quantity, reserved + reserved_by * quantity)
    n = n + 5
  end
end

-- What the journal shows after an order that is cancelled.
local function order_after(inventory, at)
  if not inventory then return '\t' end
  prepare(inventory)
  local count = not inventory.damaged and count_of(inventory, jobs[at + 1])
  return count and counted(count) .. '\t' .. counted(inventory.available)
end

-- What an operator changes of an item: a code, or nil, its bucket, and what find_item answers.
local function check_change(inventory, item)
  if inventory == CORRUPT then return 'corrupt_state' end
  if not inventory then return 'inventory_not_found' end
  if inventory.bucket_count == 0 then return 'not_loaded' end
  prepare(inventory)
  if inventory.damaged then return 'corrupt_state' end
  local number = bucket_of(inventory, item)
  local on_hand, reserved, before, behind, text = find_item(inventory, begin_of(item), number)
  if on_hand == false then return 'corrupt_state' end
  if not on_hand then return 'item_not_found' end
  if inventory.status ~= 'open' then return WHY_ENDED[inventory.status] end
  return nil, number, on_hand, reserved, before, behind, text
end

local function refused_change(inventory, code, request)
  if code == 'corrupt_state' then return code end
  if code == 'inventory_not_found' then return not_found(code, request) end
  if code == 'item_not_found' then return not_found(code, request, counted(inventory.available)) end
  return code, request, counted(inventory.available)
end

writers[#writers + 1] = function()
  for _, inventory in ipairs(inventories_changed) do
    local position = inventory.position
    call('HSET', inventory.key, 'available', counted(inventory.available), 'reserved', counted(inventory.reserved),
      'sold', counted(inventory.sold), 'status', inventory.status, 'copied', counted(inventory.copied),
      'buyers', counted(inventory.buyers), 'orders', counted(inventory.orders), 'open', counted(inventory.open), 'seq', counted(inventory.seq))
    if inventory.terms then call('HSET', inventory.key, unpack(inventory.terms)) end
    if inventory.tickets then call('HSET', inventory.key, 'tickets', counted(inventory.tickets)) end
    if inventory.item_counts then call('HSET', inventory.key, 'item_counts', counted(inventory.item_counts)) end
    if inventory.created then call('ZADD', resources_key, 0, 'inventory:' .. inventory.id) end
    if inventory.texts then
      local texts, n, counts, gone = {}, 0, inventory.counts_changed, {}
      for number in pairs(inventory.buckets_changed) do
        texts[n + 1], texts[n + 2], n = number, inventory.texts[number], n + 2
      end
      for at = 2, #counts, 2 do
        if counts[at] == '0' and inventory.counts[counts[at - 1]] == '0' then gone[#gone + 1] = counts[at - 1] end
      end
      if inventory.is_cleared then call('UNLINK', KEYS[position + 1], KEYS[position + 3], KEYS[position + 4]) end
      chunked('HSET', KEYS[position + 1], texts)
      chunked('HSET', KEYS[position + 3], counts)
      chunked('HDEL', KEYS[position + 3], gone)
      chunked('HSET', KEYS[position + 4], inventory.orders_changed)
      for id, hold_until_ms in pairs(inventory.due) do
        local member = inventory.id .. '\t' .. id
        if hold_until_ms then
          call('ZADD', KEYS[position + 5], hold_until_ms, member)
        else
          call('ZREM', KEYS[position + 5], member)
        end
      end
    end
  end
end
