
-- The server's clock. On Redis 7.0 time moves while a script runs: it is read once.
-- gives   server_us server_ms
local function server_us()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

local function server_ms() return math.floor(server_us() / 1000) end
