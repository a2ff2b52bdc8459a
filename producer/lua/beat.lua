-- A worker says that it is alive and renews its leases. given: worker, at, ttl (of RQ's record of it), alive_s,
-- lease_s, leases ({queue, "<job id>:<execution id>"} each).
-- Returns {1 if RQ's record of this worker is there, 1 if the model's description is, ids of jobs past their deadline}.

local now = clock()
local me = 'rq:worker:' .. given.worker
local known = redis.call('HEXISTS', me, 'birth')
-- A full Redis refuses what may take memory, but not in the middle of a script: after this all the rest is done.
redis.call('ZREMRANGEBYSCORE', 'segue:workers', '-inf', now)
if known == 1 then
  redis.call('HSET', me, 'last_heartbeat', given.at)
  redis.call('EXPIRE', me, given.ttl)
end
redis.call('ZADD', 'segue:workers', now + given.alive_s, given.worker)
for _, lease in ipairs(given.leases) do
  redis.call('ZADD', 'rq:wip:' .. lease[1], 'XX', now + given.lease_s, lease[2])
end
local overdue = redis.call('ZRANGEBYSCORE', 'segue:deadlines', '-inf', now, 'LIMIT', 0, 100)
return {known, redis.call('EXISTS', 'segue:model'), overdue}
