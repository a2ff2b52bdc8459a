-- Gives back the jobs of workers that say nothing any more. given: queues, at, most (jobs a queue), ttl (of a failed
-- job), error (as rq.results packs it, for those that have no retries left).
-- Returns {jobs given back or ended, jobs that RQ's own clean-up has to see to, jobs whose scheduled time has come}.

local mended, left, due = 0, 0, 0
for _, queue in ipairs(given.queues) do
  local wip = 'rq:wip:' .. queue
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', wip, '-inf', clock(), 'LIMIT', 0, given.most)) do
    local id, lease = string.match(member, '^(.*):([^:]*)$')
    if not id then
      redis.call('ZREM', wip, member)  -- no lease of anybody's
    elseif is_plain('rq:job:' .. id) then
      again({id = id, queue = queue, lease = lease, at = given.at, front = true, status = 'failed', ttl = given.ttl,
        error = given.error})
      mended = mended + 1
    else
      left = left + 1
    end
  end
  -- Taken by RQ's own loop and not yet started; or for ever, because their worker died then.
  left = left + redis.call('LLEN', 'rq:queue:' .. queue .. ':intermediate')
  due = due + redis.call('ZCOUNT', 'rq:scheduled:' .. queue, '-inf', clock())
  redis.call('ZREMRANGEBYSCORE', 'rq:canceled:' .. queue, '-inf', clock() - given.ttl)  -- RQ keeps these for ever
end
return {mended, left, due}
