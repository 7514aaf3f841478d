
-- A note in the journal: a repair, by whom and why. It stands behind the entry of the last line and decides nothing,
-- so it takes no seq; it is a link of the chain of hashes like every entry. It is the first write of a repair: if it
-- fails (an entry of someone else, a journal that is gone) nothing has been done. Answers the problem, or nil.
-- gives   write_note
local function write_note(head_key, journal_key, seq, chain, now_ms, by, text)
  local hash = redis.sha1hex(table.concat({ chain, digits(seq), digits(now_ms), by, 'note', redis.sha1hex(text) }, '\n'))
  local words = { journal_key, digits(seq) .. '-*', 'at_ms', digits(now_ms), 'by', by, 'note', text, 'hash', hash }
  if seq > 0 then table.insert(words, 2, 'NOMKSTREAM') end
  local added = redis.pcall('XADD', unpack(words))
  if not added then return 'journal: there is none' end
  if added.err then return 'journal: ' .. added.err end
  redis.call('HSET', head_key, 'hash', hash)
end
