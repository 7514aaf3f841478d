
-- The usual begin: the group stands where the last row ends, and there is nothing to do. It is told before the functions
-- below are made, which cost a call more than this. What is wrong with the head is for note to say.
if ARGV[2] == 'begin' then
  local group = group_of(KEYS[3])
  local fields = redis.pcall('HMGET', KEYS[1], 'taken:' .. ARGV[3], 'taken_count:' .. ARGV[3])
  if group and group['last-delivered-id'] == fields[1] and group['entries-read'] == tonumber(fields[2]) then
    return { ARGV[1], 'begun' }
  end
end
