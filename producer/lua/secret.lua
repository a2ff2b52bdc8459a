-- Gives an owner of webhooks a new secret; the one before it stays good for a while. given: owner, secret, overlap_s,
-- once (only if there is none yet). Returns the secret that is good now.

local key = W .. 'secret:' .. given.owner
local before = redis.call('HGET', key, 'secret')
if before and given.once then return before end
if before then redis.call('HSET', key, 'old', before, 'old_until', text(now + given.overlap_s)) end
redis.call('HSET', key, 'secret', given.secret)
return given.secret
