
-- What the head remembers of each queue, under the queue's name.
--
-- acked    how many of its entries are settled: those that have left their rows in flight. Beside it stand taken,
--          taken_count and rows (see in_flight).
-- opened   present once someone made its group and listed it.
-- added    how many entries its stream had been given when someone last looked: a stream that is gone by now, or
--          counts less, was lost.
-- oldest   its oldest entry that was not settled then, and since when that one is known: an age also for entries
--          whose ids are ahead of the clock.
local function queue_acked_field(queue_name) return 'acked:' .. queue_name end
local function queue_opened_field(queue_name) return 'opened:' .. queue_name end
local function queue_added_field(queue_name) return 'added:' .. queue_name end
local function queue_oldest_field(queue_name) return 'oldest:' .. queue_name end
