
-- Kinds. Each is a table: `fields`, how many fields of its own it has in ARGV; `decide(at)`, which reads them
-- from `at` on and answers either code and journal fields (decided: the overlay holds the effect, the seq of
-- the change is `seq + 1`), or a code alone (undecided: nothing changed). A kind never writes to Redis.
local kinds = {}
