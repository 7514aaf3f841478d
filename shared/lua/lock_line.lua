#!lua
-- lock_line: somebody who waits for a lock takes it if it is free, unless another is next in line; where nobody is, the caller is from now on.
--
-- KEYS     lock next
-- ARGV     nonce token ttl_ms waiter kept_ms; token is what takes the lock, waiter who is next, for kept_ms
-- returns  nonce, status, and for status
--            granted
--            next       another has it, and the caller is next: that owner's token
--            taken      another has it, or it is kept for whoever is next: that other's token
-- repeat   the same; granted stays granted.
--
-- There is one place in line. Who has it is free to ask often, and everybody else asks seldom. It ends by itself if it
-- is not asked for again, so a waiter that dies keeps a free lock from others for kept_ms.
local lock_key, next_key = unpack(KEYS)
local nonce, token, ttl_ms, waiter, kept_ms = unpack(ARGV)
local owner = redis.pcall('GET', lock_key)
if owner == token then return { nonce, 'granted' } end
local first = redis.pcall('GET', next_key)
-- Whatever has no end, or is of another type, is no place in line: it is written over.
if type(first) ~= 'string' or redis.call('PTTL', next_key) < 0 then first = false end
if first and first ~= waiter then return { nonce, 'taken', type(owner) == 'string' and owner or first } end
if owner then
  redis.call('SET', next_key, waiter, 'PX', kept_ms)
  return { nonce, 'next', type(owner) == 'string' and owner or '' }
end
redis.call('SET', lock_key, token, 'PX', ttl_ms)
if first then redis.call('DEL', next_key) end
return { nonce, 'granted' }
