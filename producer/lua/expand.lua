-- Makes deliveries. given: entries, each with deliveries and raw (the outbox's entry that they come from, taken out of
-- it in this step; where there is none, as for a ping, they are made in any case); kept (deliveries of an owner).
-- A delivery: id, owner (an endpoint's id, or "caller:<caller>"), caller, endpoint or url, host, event, body,
-- created_at, give_up_at (Unix seconds), ttl, secret (for an owner that has none).
-- Returns {deliveries made, deliveries dropped because their owner had too many}.

local made, dropped = 0, 0

local function drop(id, index)
  local host = redis.call('HGET', W .. 'delivery:' .. id, 'host')
  redis.call('DEL', W .. 'delivery:' .. id)
  redis.call('ZREM', index, id)
  if host then redis.call('ZREM', W .. 'waiting:' .. host, id) end
end

local function make(new)
  local key, index = W .. 'delivery:' .. new.id, W .. 'index:' .. new.owner
  if redis.call('EXISTS', key) == 1 then return end  -- made before Redis lost its last second
  local fields = {'tries', 0, 'round', 0}
  for _, name in ipairs({'owner', 'caller', 'endpoint', 'url', 'host', 'event', 'body', 'created_at', 'give_up_at'}) do
    if new[name] then
      fields[#fields + 1] = name
      fields[#fields + 1] = new[name]
    end
  end
  redis.call('HSET', key, unpack(fields))
  redis.call('EXPIRE', key, new.ttl)
  if new.secret then redis.call('HSETNX', W .. 'secret:' .. new.owner, 'secret', new.secret) end
  wait(new.id, new.host, now)
  redis.call('ZADD', index, new.created_at, new.id)
  redis.call('EXPIRE', index, new.ttl)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', now - new.ttl)
  local surplus = redis.call('ZCARD', index) - given.kept
  for _, old in ipairs(surplus > 0 and redis.call('ZRANGE', index, 0, surplus - 1) or {}) do
    drop(old, index)
    dropped = dropped + 1
  end
  made = made + 1
end

for _, entry in ipairs(given.entries) do
  if not entry.raw or redis.call('LREM', W .. 'outbox', 1, entry.raw) == 1 then
    for _, delivery in ipairs(entry.deliveries) do make(delivery) end
  end
end
return {made, dropped}
