-- A worker's one round trip: ends the jobs of its last batch and takes the next ones. A job is in a queue or under a
-- lease at every moment. given: worker, at, lease_s, step (unique to this call), ended (as for finish, or for again
-- where `retry` is set), queues (the first that has jobs is served), most (jobs to take), batch (by function name, how
-- many jobs of it may be taken together), worked_s (how long the last batch took).
-- Returns {what became of each of `ended`, the jobs taken, 1 if workers are suspended}; of each job: id, queue, lease,
-- data, timeout, time_limit, result_ttl, failure_ttl, retries_left, plain (1 or 0).

local became, taken = {}, {}
local succeeded, failed = 0, 0
for i, how in ipairs(given.ended) do
  became[i] = (how.retry and again or finish)(how)
  if became[i] ~= 0 then
    if how.status == 'finished' then succeeded = succeeded + 1 else failed = failed + 1 end
  end
end

local now = clock()

-- Of a job's record, in this order; below, by their place.
local FIELDS = {'status', 'data', 'description', 'worker_name', 'timeout', 'time_limit', 'result_ttl', 'failure_ttl',
  'retries_left', 'batch'}

local function take(job, id, queue, plain, f)
  local lease = given.step .. '.' .. #taken
  redis.call('HSET', job, 'status', 'started', 'started_at', given.at, 'last_heartbeat', given.at,
    'worker_name', given.worker, 'lease', lease)
  redis.call('PERSIST', job)
  redis.call('ZADD', 'rq:wip:' .. queue, now + given.lease_s, id .. ':' .. lease)
  if f[10] then redis.call('HSETNX', 'segue:batch:' .. f[10], 'started_at', given.at) end
  taken[#taken + 1] = {id, queue, lease, f[2], f[5], f[6], f[7], f[8], f[9], plain and 1 or 0}
end

-- Takes jobs of one function from the head of a queue. One that was started before may be what killed its worker: it
-- is taken alone, so that it takes nobody along. So is a job of a function without a batch form, and RQ's own.
local function take_from(queue)
  local list = 'rq:queue:' .. queue
  local waiting = redis.call('LLEN', list)
  local workers = math.max(1, redis.call('ZCOUNT', 'segue:workers', now, '+inf'))
  local share, together = math.ceil(waiting / workers), nil
  for _, id in ipairs(redis.call('LRANGE', list, 0, math.min(share, given.most) - 1)) do
    local job = 'rq:job:' .. id
    -- pcall: of an entry that is no job's there are no fields, and the others must not wait for it for ever.
    local f = redis.pcall('HMGET', job, unpack(FIELDS))
    local status, data, description, worker = f[1], f[2], f[3], f[4]
    if not data or status ~= 'queued' then
      redis.call('LPOP', list)  -- expired, or ended while it waited
    else
      local name = string.match(description or '', '^[%w_.]+') or ''
      local plain = is_plain(job)
      local room = plain and (worker or '') == '' and given.batch[name] or 1
      if #taken > 0 and (name ~= together or #taken >= room) then return end
      redis.call('LPOP', list)
      take(job, id, queue, plain, f)
      together = name
      if #taken >= room then return end
    end
  end
end

local suspended = redis.call('EXISTS', 'rq:suspended')
if given.most > 0 and suspended == 0 then
  for _, queue in ipairs(given.queues) do
    if #taken == 0 then take_from(queue) end
  end
end

if succeeded + failed > 0 then
  local ended = 'segue:ended:' .. math.floor(now / 10)
  redis.call('INCRBY', ended, succeeded + failed)
  redis.call('EXPIRE', ended, 30)
end

local me = 'rq:worker:' .. given.worker
if redis.call('HEXISTS', me, 'birth') == 1 then  -- else Redis has lost it, and the worker's next beat brings it back
  redis.call('HSET', me, 'state', #taken > 0 and 'busy' or suspended == 1 and 'suspended' or 'idle')
  if succeeded > 0 then redis.call('HINCRBY', me, 'successful_job_count', succeeded) end
  if failed > 0 then redis.call('HINCRBY', me, 'failed_job_count', failed) end
  if given.worked_s > 0 then redis.call('HINCRBYFLOAT', me, 'total_working_time', given.worked_s) end
end
return {became, taken, suspended}
