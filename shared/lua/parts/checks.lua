
-- Checks before the first write. Redis takes back nothing of a script that stops half-way, so whatever could
-- stop it is asked for first: the type of each key that will be written, and the right to each command.
-- gives   wrong_type lacks_right

-- What is wrong with a key's type; nil if it is what `size_command` counts, or absent.
local function wrong_type(size_command, key)
  local size = redis.pcall(size_command, key)
  if type(size) ~= 'number' then return key .. ': ' .. size.err end
end

-- An error reply if the user may not run this command; nil if it is allowed.
local function lacks_right(...)
  if not redis.acl_check_cmd(...) then
    local command, key = ...
    return redis.error_reply('NOPERM the user lacks the right to ' .. command .. ' ' .. key)
  end
end
