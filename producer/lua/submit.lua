-- Takes a job, or says why not. given: job (as for enqueue), limit (ids that may wait in its queue), memory_share (of
-- maxmemory that may be used); idempotency {key, digest, ttl}, rate {key, per_s, burst} where there are any.
-- Returns {"queued", ids that wait before it} | {"same", id} | {"conflict"} | {"limited", seconds to wait} |
-- {"memory", used, maxmemory} | {"full", ids that wait}.

local seen = seen_before(given.idempotency)
if seen then return seen end
-- The same call once more, after its answer was lost on the way.
if redis.call('EXISTS', 'rq:job:' .. given.job.id) == 1 then return {'same', given.job.id} end

local full = no_room(given.memory_share, 0)
if full then return full end

local waiting = redis.call('LLEN', 'rq:queue:' .. given.job.queue)
if waiting >= given.limit then return {'full', waiting} end

local limited = over_rate(given.rate)
if limited then return limited end

enqueue(given.job)
remember(given.idempotency, given.job.id)
return {'queued', waiting}
