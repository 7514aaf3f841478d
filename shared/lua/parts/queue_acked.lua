
-- How many entries of one queue were acknowledged. So `entries-added` less these less the pending ones have not
-- been fetched yet. Redis counts fetched entries itself (`entries-read`), but 7.0 writes that count neither to
-- the append-only file nor to replicas: after a restart it is behind for ever.
local function queue_acked_field(queue_name)
  return 'acked:' .. queue_name
end
