
-- What the head remembers of each queue, under the queue's name.
--
-- taken, taken_count, rows   what was taken, and in how many rows it is in flight (see in_flight).
-- acked    how many of its entries are settled: those that have left their rows in flight.
-- opened   present once someone made its group and listed it.
-- added    how many entries its stream had been given when someone last looked: a stream that is gone by now, or
--          counts less, was lost.
-- oldest   its oldest entry that was not settled then, and since when that one is known: an age also for entries
--          whose ids are ahead of the clock.
-- gives   queue_field
local function queue_field(field, queue_name) return field .. ':' .. queue_name end
