
-- The format of heads and of meta that this release reads and writes. Another one is refused by name.
local FORMAT = '3'

local function other_format(found)
  return 'format ' .. tostring(found) .. ', and this release reads format ' .. FORMAT .. ' only'
end
