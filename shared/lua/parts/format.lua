
-- The format of heads and of meta that this release reads and writes. Another one is refused by name.
-- gives   FORMAT other_format head_problem
local FORMAT = '4'

local function other_format(found)
  return 'format ' .. tostring(found) .. ', and this release reads format ' .. FORMAT .. ' only'
end

-- Is this head good? Answers a status and what was found if it is not; nil if it is one of ours. `format` is its field.
local function head_problem(head_key, format)
  if format == FORMAT then return nil end
  if not format and redis.call('EXISTS', head_key) == 0 then return 'uninitialised', 'no head' end
  return 'corrupt_partition', 'head: ' .. other_format(format)
end
