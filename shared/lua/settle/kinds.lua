
-- Kinds. Each is a table: `fields`, how many fields of its own it has in ARGV; `decide(at)`, which reads them
-- from `at` on and answers either code, request as the journal has it, and the number that the journal shows
-- after it or nil (decided: the overlay holds the effect, the seq of the change is `seq + 1`), or a code alone
-- (undecided: nothing changed). A kind never writes to Redis.
-- A `step` goes on with a job that has a receipt already: it answers by the state of the hold, and a fourth
-- value, the fingerprint with which the job's receipt is written anew.
local kinds = {}

-- A resource that does not exist decides nothing: whoever misspelt it, or came too early, may ask again under the
-- same id. Only where too many such jobs are dead already is one refused for good.
local function not_found(code, request)
  if how ~= 'refuse' then return code end
  refused_missing = refused_missing + 1
  return code, request
end
