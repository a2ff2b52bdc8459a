-- Queues parts of a batch; sent again, it queues none twice. given: batch, jobs (as for enqueue), last (whether these
-- are the last ones). Returns how many were queued.

local added = 0
for _, job in ipairs(given.jobs) do
  if redis.call('EXISTS', 'rq:job:' .. job.id) == 0 then
    enqueue(job)
    added = added + 1
  end
end
if given.last then redis.call('HSET', 'segue:batch:' .. given.batch, 'complete', 1) end
return added
