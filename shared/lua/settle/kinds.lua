
-- Kinds. Each is a table: `fields`, how many fields of its own it has in ARGV; `decide(at)`, which reads them
-- from `at` on and answers either code, request as the journal has it, and the number that the journal shows
-- after it or nil (decided: the overlay holds the effect, the seq of the change is `seq + 1`), or a code alone
-- (undecided: nothing changed). A kind never writes to Redis.
-- A `step` goes on with a job that has a receipt already: it answers by the state of the hold, and a fourth
-- value, the fingerprint with which the job's receipt is written anew.
local kinds = {}
