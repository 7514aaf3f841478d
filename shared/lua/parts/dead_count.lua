
-- How many dead jobs there are of each reason: `dead:<reason>` in the head. Counted where a job comes into dead and
-- where it leaves it, by what Redis's own reply said. Every write here is one that cannot fail: the caller has read
-- the head.
-- gives   DEAD_MAX dead_field head_number change_head_number
local DEAD_MAX = 10000   -- of one reason in one partition; past it see park

-- A row that cannot be read counts as what it would be dead for.
local function dead_field(row)
  return 'dead:' .. (row and row.reason ~= '' and row.reason or 'corrupt_state')
end

local function head_number(head_key, field)
  return integer(redis.call('HGET', head_key, field) or '0') or 0
end

local function change_head_number(head_key, field, change)
  redis.call('HSET', head_key, field, digits(math.max(0, head_number(head_key, field) + change)))
end
