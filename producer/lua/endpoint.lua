-- Writes or deletes an endpoint, and says in the same step what jobs have to tell its caller. given: id, caller; set
-- (fields), unset (their names), most (endpoints of a caller, for a new one), delete.
-- Returns 1; 0 if there is no such endpoint of this caller's; -1 if the caller has too many.

local key, all = W .. 'endpoint:' .. given.id, W .. 'endpoints:' .. given.caller
local ours = redis.call('HGET', key, 'caller') == given.caller
if given.delete then
  if not ours then return 0 end
  redis.call('DEL', key, W .. 'secret:' .. given.id, W .. 'index:' .. given.id)
  redis.call('SREM', all, given.id)
else
  if given.most then
    if redis.call('SCARD', all) >= given.most then return -1 end
    redis.call('SADD', all, given.id)
  elseif not ours then
    return 0
  end
  for name, value in pairs(given.set or {}) do redis.call('HSET', key, name, value) end
  for _, name in ipairs(given.unset or {}) do redis.call('HDEL', key, name) end
end
count_wants(given.caller)
return 1
