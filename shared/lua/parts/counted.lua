
-- Numbers that count up by little: what is in front of the last two digits is put into text once.
-- gives   halves counted
local LAST_TWO = { [0] =
  '00', '01', '02', '03', '04', '05', '06', '07', '08', '09', '10', '11', '12', '13', '14', '15', '16', '17', '18', '19',
  '20', '21', '22', '23', '24', '25', '26', '27', '28', '29', '30', '31', '32', '33', '34', '35', '36', '37', '38', '39',
  '40', '41', '42', '43', '44', '45', '46', '47', '48', '49', '50', '51', '52', '53', '54', '55', '56', '57', '58', '59',
  '60', '61', '62', '63', '64', '65', '66', '67', '68', '69', '70', '71', '72', '73', '74', '75', '76', '77', '78', '79',
  '80', '81', '82', '83', '84', '85', '86', '87', '88', '89', '90', '91', '92', '93', '94', '95', '96', '97', '98', '99' }
local ONES = { [0] = '0', '1', '2', '3', '4', '5', '6', '7', '8', '9' }
local hundreds_text = {}   -- hundreds -> text

-- The text of a number in two pieces, for a longer text that it becomes part of.
local function halves(number)
  local last = number % 100
  local hundreds = (number - last) / 100
  if hundreds == 0 then return '', last < 10 and ONES[last] or LAST_TWO[last] end
  local text = hundreds_text[hundreds]
  if not text then
    text = digits(hundreds)
    hundreds_text[hundreds] = text
  end
  return text, LAST_TWO[last]
end

local small_text = {}   -- of numbers below 1000: a batch repeats them

local function counted(number)
  local text = small_text[number]
  if text then return text end
  local first, last = halves(number)
  text = first .. last
  if number < 1000 then small_text[number] = text end
  return text
end
