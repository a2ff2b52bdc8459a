-- Opens a batch, or says why not. given: id, at, total (requests), parts (jobs), meta, bytes (of all its requests),
-- limit, queue, memory_share, ttl; idempotency {key, digest, ttl}, rate {key, per_s, burst}, caller, webhook where there
-- are any. Returns as submit does.

local seen = seen_before(given.idempotency)
if seen then return seen end
local full = no_room(given.memory_share, given.bytes)
if full then return full end
local waiting = redis.call('LLEN', 'rq:queue:' .. given.queue)
if waiting + given.parts > given.limit then return {'full', waiting} end

local limited = over_rate(given.rate)
if limited then return limited end

local key = 'segue:batch:' .. given.id
redis.call('HSET', key, 'created_at', given.at, 'total', given.total, 'parts', given.parts, 'meta', given.meta)
for _, field in ipairs({'caller', 'webhook'}) do
  if given[field] then redis.call('HSET', key, field, given[field]) end
end
redis.call('EXPIRE', key, given.ttl)
remember(given.idempotency, given.id)
return {'queued', waiting}
