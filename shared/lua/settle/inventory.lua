
-- Inventories: what the jobs of this batch see of them, and of their items, buyers and orders. In KEYS an inventory is
-- followed by its items, stock, buyers and orders, and by the partition's reservations; all of them are known from its name.
--
-- Items lie some 8 to a field, by a hash of their names: `\n<item>\t<on hand>\t<reserved>\n…`. An item that was never
-- sold from is where the upload put it, in stock, which never changes; the first change of a bucket copies it to items.
-- An order is one field: state, seq of its receipt, hold_until_ms, fingerprint, customer, and its lines, each
-- `{<reserved> <sold> <given back> <item>}`. A TAB between two; hold_until_ms and fingerprint are empty for a purchase.
-- `copied`, `buyers` and `orders` of the inventory count the fields of these keys: one that is gone is damage.
-- gives   load_inventory prepare read_fields take_apart find_item put_item change_item change_inventory put_order change_count
--         count_of gather_lines check_order refused_order order_after check_change refused_change orders_of parse_order
--         gmatch gsub
local find, sub, byte, gmatch, gsub = string.find, string.sub, string.byte, string.gmatch, string.gsub
local LINE = '{(%d+) ([^}]+)}()'   -- of the text of an order's lines
local inventories_changed = {}
local lines_of, buyers_of, orders_of = {}, {}, {}   -- position -> lines, customers and orders that this batch names
local taken_apart = {}   -- text of an order's lines -> the same taken apart
local parse_order   -- of reservation.lua

local function load_inventory(position)
  local inventory = loaded[position]
  if inventory ~= nil then return inventory end
  local key, id = KEYS[position], name_at(position)
  local fields = pcall_redis('HMGET', key, 'available', 'reserved', 'sold', 'per_customer', 'opens_at_ms', 'closes_at_ms',
    'status', 'stock', 'items', 'buckets', 'copied', 'buyers', 'orders', 'open', 'seq')
  if fields.err then
    inventory = CORRUPT
  elseif not any(fields, 15) then
    inventory = absent('inventory:' .. id)
  else
    local status = fields[7]
    inventory = {
      position = position, key = key, id = id, available = integer(fields[1]), reserved = integer(fields[2]),
      sold = integer(fields[3]), per_customer = optional(fields[4]), opens_at_ms = optional(fields[5]),
      closes_at_ms = optional(fields[6]), status = status, bucket_count = integer(fields[10]), copied = integer(fields[11]),
      buyers = integer(fields[12]), orders = integer(fields[13]), open = integer(fields[14]),
    }
    if not (inventory.available and inventory.reserved and inventory.sold and fields[8] and integer(fields[9])
        and inventory.bucket_count and inventory.copied and inventory.buyers and inventory.orders and inventory.open and integer(fields[15]))
        or inventory.per_customer == nil or inventory.opens_at_ms == nil or inventory.closes_at_ms == nil
        or (status ~= 'open' and status ~= 'loading' and status ~= 'closed')
        or (status == 'open' and inventory.bucket_count == 0) then
      inventory = CORRUPT
    else
      inventory.out_of_time = status == 'loading' and 'not_started' or out_of_time(inventory)
    end
  end
  loaded[position] = inventory
  return inventory
end

-- An item's bucket is its bytes, as the digits of a number to the base 1664525, modulo 2^32 - 5, modulo the buckets: no
-- step is above 2^53.
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

-- The lines of an order, once for a batch: item and quantity in turn, up to the first that is no line; `is_whole` says
-- whether that was all of the text.
local function take_apart(text)
  local lines = taken_apart[text]
  if lines then return lines end
  lines = {}
  local n, end_at = 0, 1
  for quantity_text, item, next_at in gmatch(text, LINE) do
    local quantity = number_of[quantity_text] or integer(quantity_text)
    if not quantity or quantity == 0 then break end
    lines[n + 1], lines[n + 2], n, end_at = item, quantity, n + 2, next_at
  end
  lines.is_whole = end_at == #text + 1
  taken_apart[text] = lines
  return lines
end

-- Reads the buckets that these items lie in; answers whether all could be read.
local function read_buckets(inventory, items)
  local texts, wanted, named = inventory.texts, {}, {}
  for _, item in ipairs(items) do
    local number = bucket_of(inventory, item)
    if not texts[number] and not named[number] then
      named[number], wanted[#wanted + 1] = true, number
    end
  end
  if #wanted == 0 then return true end
  local position = inventory.position
  local untouched = read_fields(texts, KEYS[position + 1], wanted)
  if not untouched then return false end
  for number in pairs(named) do
    if texts[number] then inventory.is_copied[number] = true end
  end
  local lost = #untouched > 0 and read_fields(texts, KEYS[position + 2], untouched) or untouched
  return lost and #lost == 0
end

-- All that the batch needs of an inventory, in as few reads as there are keys.
local function prepare(inventory)
  if inventory.texts then return end
  inventory.texts, inventory.is_copied, inventory.bucket_numbers = {}, {}, {}
  inventory.counts, inventory.rows, inventory.known, inventory.due = {}, {}, {}, {}
  inventory.buckets_changed, inventory.counts_changed, inventory.orders_changed = {}, {}, {}
  local position = inventory.position
  if pcall_redis('HLEN', KEYS[position + 1]) ~= inventory.copied
      or pcall_redis('HLEN', KEYS[position + 3]) ~= inventory.buyers
      or pcall_redis('HLEN', KEYS[position + 4]) ~= inventory.orders
      or type(pcall_redis('ZCARD', KEYS[position + 5])) ~= 'number' then
    inventory.damaged = true
    return
  end
  local customers, lines, ids, items = buyers_of[position] or {}, lines_of[position] or {}, orders_of[position], {}
  if ids then
    if not read_fields(inventory.rows, KEYS[position + 4], ids) then inventory.damaged = true end
    for _, id in ipairs(ids) do
      local order = inventory.rows[id] and parse_order(inventory.rows[id])
      inventory.known[id] = true
      if order and order ~= CORRUPT then
        customers[#customers + 1] = order.customer
        for _, line in ipairs(order.parts) do items[#items + 1] = line.item end
      end
    end
  end
  if #customers > 0 and not read_fields(inventory.counts, KEYS[position + 3], customers) then inventory.damaged = true end
  if inventory.bucket_count > 0 then
    for _, text in ipairs(lines) do
      local parts = take_apart(text)
      for at = 1, #parts, 2 do items[#items + 1] = parts[at] end
    end
    if not read_buckets(inventory, items) then inventory.damaged = true end
  end
end

-- What there is of an item: on hand, reserved, its bucket, and where in the bucket's text the two numbers are; nil if there
-- is no such item, false if it cannot be read.
local function find_item(inventory, item)
  local number = bucket_of(inventory, item)
  local text = inventory.texts[number]
  if not text then
    if not read_buckets(inventory, { item }) then return false end
    text = inventory.texts[number]
  end
  local _, before = find(text, '\n' .. item .. '\t', 1, true)
  if not before then return nil end
  local on_hand, reserved, behind = match(text, '^(%d+)\t(%d+)()\n', before + 1)
  on_hand, reserved = integer(on_hand), integer(reserved)
  if not (on_hand and reserved and reserved <= on_hand) then return false end
  return on_hand, reserved, number, before, behind
end

local function put_item(inventory, number, before, behind, on_hand, reserved)
  local text = inventory.texts[number]
  local on_hand_first, on_hand_last = halves(on_hand)
  local reserved_first, reserved_last = halves(reserved)
  inventory.texts[number] = sub(text, 1, before) .. on_hand_first .. on_hand_last .. '\t' .. reserved_first
    .. reserved_last .. sub(text, behind)
  inventory.buckets_changed[number] = true
  if not inventory.is_copied[number] then
    inventory.is_copied[number], inventory.copied = true, inventory.copied + 1
  end
end

-- Changes what is on hand and what is reserved of an item that check_order, or what is like it, has found.
local function change_item(inventory, item, more_on_hand, more_reserved)
  local on_hand, reserved, bucket, before, behind = find_item(inventory, item)
  put_item(inventory, bucket, before, behind, on_hand + more_on_hand, reserved + more_reserved)
end

-- How many units a customer has; nil if that cannot be read.
local function count_of(inventory, customer)
  local text = inventory.counts[customer]
  if not text then return 0 end
  local count = integer(text)
  if count and count <= inventory.sold + inventory.reserved then return count end
end

local function change_count(inventory, customer, before, after)
  local text = counted(after)
  if before == 0 then inventory.buyers = inventory.buyers + 1 end
  if after == 0 then inventory.buyers = inventory.buyers - 1 end
  inventory.counts[customer] = after > 0 and text or nil
  inventory.counts_changed[customer] = text
  return text
end

local function put_order(inventory, id, row)
  if not inventory.rows[id] then inventory.orders = inventory.orders + 1 end
  inventory.rows[id], inventory.orders_changed[id], inventory.known[id] = row, row, true
end

-- Marks an inventory as changed by the line with this seq; answers what can be sold after it, as the journal has it.
local function change_inventory(inventory, seq, available)
  if not inventory.seq then inventories_changed[#inventories_changed + 1] = inventory end
  inventory.seq, inventory.available = seq, available
  return counted(available)
end

-- Of a run of orders: its customers and its lines, which follow the inventory.
local function gather_lines(first, last, width)
  for at = first, last, width do
    local position = jobs[at]
    local customers, lines = buyers_of[position], lines_of[position]
    if not customers then
      customers, lines = {}, {}
      buyers_of[position], lines_of[position] = customers, lines
    end
    customers[#customers + 1], lines[#lines + 1] = jobs[at + 1], jobs[at + 2]
  end
end

-- Whether a customer may have all of these lines: a code, or nil; how many units they have already, if that is known, how
-- many more these are, and the lines taken apart.
local function check_order(inventory, customer, lines_text)
  if inventory == CORRUPT then return 'corrupt_state' end
  if not inventory then return 'inventory_not_found' end
  prepare(inventory)
  local before = not inventory.damaged and count_of(inventory, customer)
  if not before then return 'corrupt_state' end
  if inventory.bucket_count == 0 then return inventory.out_of_time, before end
  local units, is_short, lines = 0, false, take_apart(lines_text)
  for at = 1, #lines, 2 do
    local quantity = lines[at + 1]
    local on_hand, reserved = find_item(inventory, lines[at])
    if on_hand == false then return 'corrupt_state' end
    if not on_hand then return 'item_not_found', before end
    if on_hand - reserved < quantity then is_short = true end
    units = units + quantity
  end
  if units == 0 or units > NUMBER_MAX or not lines.is_whole then return 'quantity_out_of_range' end
  if inventory.out_of_time then return inventory.out_of_time, before end
  if is_short then return 'sold_out', before end
  if units > inventory.available then return 'corrupt_state' end
  if inventory.per_customer and before + units > inventory.per_customer then return 'customer_limit_reached', before end
  return nil, before, units, lines
end

-- What is answered to an order that gets nothing.
local function refused_order(inventory, position, customer, lines_text, code, before)
  if not before and code ~= 'inventory_not_found' then return code end
  local request = concat({ name_at(position), customer, lines_text, before and counted(before) or '' }, '\t')
  local available = before and counted(inventory.available) or nil
  if code == 'inventory_not_found' or code == 'item_not_found' then return not_found(code, request, available) end
  return code, request, available
end

-- What the journal shows after an order that is cancelled.
local function order_after(inventory, at)
  if not inventory then return '\t' end
  prepare(inventory)
  local count = not inventory.damaged and count_of(inventory, jobs[at + 1])
  return count and counted(count) .. '\t' .. counted(inventory.available)
end

-- What an operator changes of an item: a code, or nil and what find_item answers.
local function check_change(inventory, item)
  if inventory == CORRUPT then return 'corrupt_state' end
  if not inventory then return 'inventory_not_found' end
  if inventory.bucket_count == 0 then return 'not_loaded' end
  prepare(inventory)
  if inventory.damaged then return 'corrupt_state' end
  local on_hand, reserved, number, before, behind = find_item(inventory, item)
  if on_hand == false then return 'corrupt_state' end
  if not on_hand then return 'item_not_found' end
  if inventory.status ~= 'open' then return 'ended' end
  return nil, on_hand, reserved, number, before, behind
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
    if inventory.created then call('ZADD', resources_key, 0, 'inventory:' .. inventory.id) end
    if inventory.texts then
      local texts, held, gone, rows = {}, {}, {}, {}
      for number in pairs(inventory.buckets_changed) do
        texts[#texts + 1] = number
        texts[#texts + 1] = inventory.texts[number]
      end
      for customer, text in pairs(inventory.counts_changed) do
        if text == '0' then
          gone[#gone + 1] = customer
        else
          held[#held + 1] = customer
          held[#held + 1] = text
        end
      end
      for id, row in pairs(inventory.orders_changed) do
        rows[#rows + 1] = id
        rows[#rows + 1] = row
      end
      chunked('HSET', KEYS[position + 1], texts)
      chunked('HSET', KEYS[position + 3], held)
      chunked('HDEL', KEYS[position + 3], gone)
      chunked('HSET', KEYS[position + 4], rows)
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
