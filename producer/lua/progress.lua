-- Notes how far a worker is with a job, if it still has it. given: id, lease, progress (packed).
-- A job that is over, or expired, or given to another worker, is left as it is. Returns 1 if it was noted.

local job = 'rq:job:' .. given.id
local status, queue = unpack(redis.call('HMGET', job, 'status', 'origin'))
if status ~= 'started' then return 0 end
if not redis.call('ZSCORE', 'rq:wip:' .. queue, given.id .. ':' .. given.lease) then return 0 end
redis.call('HSET', job, 'progress', given.progress)
redis.call('PUBLISH', 'segue:progress', given.id)
return 1
