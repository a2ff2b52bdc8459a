-- Has deliveries that are over tried again, from the first pause on, under their own ids. given: ids, give_up_at, ttl.
-- Returns how many there were.

local replayed = 0
for _, id in ipairs(given.ids) do
  local key = W .. 'delivery:' .. id
  local state, host, endpoint, owner = unpack(redis.call('HMGET', key, 'state', 'host', 'endpoint', 'owner'))
  if state and state ~= 'pending' then
    host = endpoint and redis.call('HGET', W .. 'endpoint:' .. endpoint, 'host') or host
    redis.call('HSET', key, 'round', 0, 'host', host, 'give_up_at', given.give_up_at)
    redis.call('HDEL', key, 'ended_at', 'why')
    redis.call('EXPIRE', key, given.ttl)
    redis.call('EXPIRE', W .. 'index:' .. owner, given.ttl)
    wait(id, host, now)
    replayed = replayed + 1
  end
end
return replayed
