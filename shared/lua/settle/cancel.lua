
-- Cancelling: a job that waits for its time, or is back in its stream since then, is decided against, whatever its
-- resource would say. Its journal line is one of its own kind with its own request, so its receipt answers every other
-- copy of it: one that is still in a stream, and one in the hands of a worker that stands still. What is dead is given
-- up by dead_discard; what was never parked is not known here.
cancel_of = function(kind_name)
  local of = kinds[kind_name].cancel
  return function(at, _, id)
    if not of then return 'kind_not_queueable' end
    local row = read_parked(parked_row_of[id])
    if not row or row.state == 'dead' then return 'not_scheduled' end
    local resource = of.load(jobs[at])
    if resource == CORRUPT then return 'corrupt_state' end
    local after = of.after(resource, at)
    if not after then return 'corrupt_state' end
    local words = { name_at(jobs[at]), unpack(jobs, at + of.first, at + of.last) }
    if of.second then words[2] = name_at(words[2]) end
    return 'cancelled', concat(words, '\t'), after
  end
end
