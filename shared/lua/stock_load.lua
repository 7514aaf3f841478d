#!lua
-- stock_load: takes some of the items that an inventory is to begin with, before it is loaded.
--
-- KEYS     head inventory stock
-- ARGV     nonce name buckets, then for each bucket: number text; name is that of the whole list, buckets how many buckets it
--          has; text is as `settle` reads it
-- returns  nonce, status, and for status
--            taken               how many items there are by now, and how many units
--            not_loading         the inventory has its items already, or is closed: nothing was written
--            not_found           there is no such inventory: nothing was written
--            wrong_stock         which bucket cannot be read, or would be too much: nothing was written
--            uninitialised, partition_frozen, corrupt_partition: what was found; nothing was written
-- repeat   taken: a bucket that is there is not counted again.
--
-- Each bucket is written once; count and sum are kept beside them, so that inventory_load reads none. A list of another
-- name begins anew: what was left of one that was never finished is gone. So does one that has fewer fields than were
-- written: some of it was lost, and of what is left nobody knows what was counted.
local head_key, inventory_key, stock_key = KEYS[1], KEYS[2], KEYS[3]
local nonce, name, buckets_text = ARGV[1], ARGV[2], ARGV[3]

local head, status, detail = read_counters(head_key, { 'seq' })
if not head then return { nonce, status, detail } end
local lacked = lacks_right('HSET', stock_key, 'x', 'x') or lacks_right('UNLINK', stock_key)
if lacked then return lacked end

local inventory = redis.pcall('HMGET', inventory_key, 'status', 'buckets')
if inventory.err then return { nonce, 'corrupt_partition', 'inventory: ' .. inventory.err } end
if not inventory[1] then return { nonce, 'not_found' } end
if inventory[1] ~= 'loading' or inventory[2] ~= '0' then return { nonce, 'not_loading' } end

local there = redis.pcall('HMGET', stock_key, 'name', 'buckets', 'items', 'units', 'taken', 'limited')
if there.err then return { nonce, 'corrupt_partition', 'stock: ' .. there.err } end
local items, units, taken, limited = integer(there[3]), integer(there[4]), integer(there[5]), integer(there[6])
local is_new = there[1] ~= name or there[2] ~= buckets_text or not (items and units and taken and limited)
  or redis.call('HLEN', stock_key) ~= taken + 6
if is_new then items, units, taken, limited = 0, 0, 0, 0 end

local words = { 'name', name, 'buckets', buckets_text }
for at = 4, #ARGV, 2 do
  local number, text = ARGV[at], ARGV[at + 1]
  if is_new or redis.call('HEXISTS', stock_key, number) == 0 then
    local end_at = 1
    for on_hand, most, next_at in string.gmatch(text, '\n[^\t\n]+\t(%d+)\t0(\t?%d*)()') do
      on_hand = integer(on_hand)
      if not on_hand or units + on_hand > NUMBER_MAX or (most ~= '' and (integer(string.sub(most, 2)) or 0) == 0) then
        return { nonce, 'wrong_stock', number }
      end
      items, units, end_at = items + 1, units + on_hand, next_at
      if most ~= '' then limited = limited + 1 end
    end
    if end_at ~= #text then return { nonce, 'wrong_stock', number } end
    taken = taken + 1
    words[#words + 1] = number
    words[#words + 1] = text
  end
end

if is_new then redis.call('UNLINK', stock_key) end
chunked('HSET', stock_key, words)
redis.call('HSET', stock_key, 'items', digits(items), 'units', digits(units), 'taken', digits(taken),
  'limited', digits(limited))
return { nonce, 'taken', digits(items), digits(units) }
