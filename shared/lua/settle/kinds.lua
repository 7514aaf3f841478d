
-- Kinds. Each is a table:
--   fields   how many fields of its own a job has
--   gather(first, last, width)   is told of each run: where the fields of its first and of its last job are, and how far
--            it is from one to the next; what the whole batch needs is read at once (optional)
--   hold_of(at)   the hold that answers for the id where the receipt is gone (optional)
--   decide(at, seq, id, fingerprint)   reads its fields from `at` on and answers either a code, the request as the
--            journal has it, and the number that the journal shows after it, as text in one piece or two, or nil (decided:
--            the overlay holds the effect, `seq` is the seq of the change), or a code alone (undecided: nothing changed).
--            Where the journal shows several numbers, the request holds all but the last
--   cancel   of a kind that may be queued, what a cancelled job of it needs for its journal line: how its resource is loaded,
--            where the request stands past the resource (with `second`, it begins with another resource), and
--            after(resource, at), the text of the numbers that are journaled
--            after the request; nil if they cannot be told
--   step     it goes on with a job that has a receipt already: it answers by the state of the hold, and decide
--            answers one value more, the fingerprint with which the job's receipt is written anew
-- A kind never writes to Redis.
-- gives   kinds cancel_of writers not_found
local kinds = {}
local cancel_of   -- of a kind's name, what decides against its jobs: made with the rare kinds
local writers = { write_resources }   -- what writes the effects of this call

-- A resource that does not exist decides nothing: whoever misspelt it, or came too early, may ask again under the
-- same id. Only where too many such jobs are dead already is one refused for good.
local function not_found(code, request, after)
  if how ~= 'refuse' then return code end
  counts.dead_refused = counts.dead_refused + 1
  return code, request, after
end
