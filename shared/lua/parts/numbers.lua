
-- Numbers. Lua's are doubles: exact up to 2^53 - 1, and their default text is not. `tonumber` alone would
-- take '0x10', '1e3' and 'nan'.
-- gives   NUMBER_MAX COUNTER_MAX number_of integer of_digits digits chunked
local NUMBER_MAX = 9007199254740991
local COUNTER_MAX = NUMBER_MAX - 1000000   -- of what a call may add to: it never counts past NUMBER_MAX

local string_find, string_format = string.find, string.format
local number_of = {}   -- text -> number, of the small ones that `integer` took: a batch repeats them

local function integer(text)
  local number = number_of[text]
  if number then return number end
  if text and #text <= 16 and string_find(text, '^%d+$') then
    number = text + 0   -- tonumber would read it twice
    if number < 1000 then number_of[text] = number end
    if number <= NUMBER_MAX then return number end
  end
end

-- The same of a text that a pattern has shown to be digits already; nil of nil.
local function of_digits(text)
  if text and #text <= 16 then
    local number = text + 0
    if number <= NUMBER_MAX then return number end
  end
end

-- '%d' costs half of '%.0f', but is only as wide as the server's C long.
local DIGITS = string_format('%d', NUMBER_MAX) == '9007199254740991' and '%d' or '%.0f'

local function digits(number)
  return string_format(DIGITS, number)
end

-- Calls a command with a list that may be longer than Lua's stack allows to unpack. Its first `fixed`
-- arguments are repeated in each call; `step` is a multiple of what belongs together.
local function chunked(command, key, list)
  for first = 1, #list, 1000 do
    redis.call(command, key, unpack(list, first, math.min(first + 999, #list)))
  end
end
