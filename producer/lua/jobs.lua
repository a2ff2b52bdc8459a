-- How a job changes its state. Every script of Segue's begins with this text; each runs as one step in Redis.
--
-- What of RQ 3.0's is written, and why that is safe (tests/integration/test_rq_compatibility.py runs the same job
-- through RQ's own worker and through ours and compares what lies in Redis; look at both before moving RQ's pin):
--   rq:job:<id>               hash, rq.job.Job.to_dict. Of its fields only status, times, worker_name and retries_left
--                             change. RQ's reader takes the fields it knows; `lease`, `webhook`, `caller`, `progress`
--                             are ours.
--   rq:queue:<queue>          list of ids, taken at the left. RQ pushes and pops it just so.
--   rq:wip:<queue>            StartedJobRegistry: "<job id>:<execution id>", score = until when the lease lasts.
--   rq:finished|failed|canceled:<queue>   registries: id, score = until when it is kept. RQ's cleaning trims by score.
--   rq:results:<id>           stream, rq.results.Result: type 1 succeeded, 2 failed. Never with a value: that is ours.
--                             A job of our own that succeeds gets none: a stream takes Redis 5 kB, whatever is in it.
--   rq:queues                 set of the queues' keys, for `rq info`.
--   rq:worker:<name>          hash of a worker: state and counters, as RQ's own methods write them.
-- Keys are built from ids, so all of it must lie on one server, not on a Redis Cluster.

local FINAL = {finished = true, failed = true, canceled = true, stopped = true}
local RESULT_TYPE = {finished = 1, failed = 2}  -- rq.results.Result.Type

-- Redis's own clock, in seconds: machines need not agree on the time for leases to hold.
local function clock()
  local t = redis.call('TIME')
  return tonumber(t[1]) + tonumber(t[2]) / 1000000
end

-- Puts a job into its queue. new: id, queue, description, data, timeout, result_ttl, failure_ttl, retries, at (time as
-- RQ writes it); meta, time_limit, deadline_s (from now), batch and items (whose part it is, and how many of the batch's
-- requests it holds), caller and webhook (as for tell) where there are any.
local function enqueue(new)
  local job = 'rq:job:' .. new.id
  redis.call('HSET', job, 'status', 'queued', 'origin', new.queue, 'created_at', new.at, 'enqueued_at', new.at,
    'data', new.data, 'description', new.description, 'timeout', new.timeout, 'result_ttl', new.result_ttl,
    'failure_ttl', new.failure_ttl, 'retries_left', new.retries)
  for _, field in ipairs({'meta', 'time_limit', 'batch', 'items', 'caller', 'webhook'}) do
    if new[field] then redis.call('HSET', job, field, new[field]) end
  end
  if new.deadline_s then redis.call('ZADD', 'segue:deadlines', clock() + new.deadline_s, new.id) end
  redis.call('SADD', 'rq:queues', 'rq:queue:' .. new.queue)
  redis.call('RPUSH', 'rq:queue:' .. new.queue, new.id)
end

-- The longest answer that goes out with a webhook, as it lies here; as JSON, which is longer, it has to fit in 20 kB.
local MOST_TOLD = 20000

-- Notes for the delivery process (worker/delivery.py) that a job or a batch has ended: in the step that ends it, so that
-- no webhook is lost. A job that nobody wants to hear of costs one GET, one without a caller nothing.
-- webhook: what its request asked for (producer/webhooks.py), after a first byte that is F if it wants the answer, too;
-- caller: whose registered endpoints are to be told; answer: as it is packed. fields: of its record, those that the
-- notice needs.
local function tell(kind, id, at, event, webhook, caller, answer, fields)
  local wants = caller and redis.call('GET', 'segue:webhooks:wants:' .. caller)
  if not (webhook or wants) then return end
  local full = answer and #answer <= MOST_TOLD and
    (wants == 'full' or webhook and string.sub(webhook, 1, 1) == 'F')
  local record = redis.call('HMGET', (kind == 'job' and 'rq:job:' or 'segue:batch:') .. id, unpack(fields))
  local notice = {kind = kind, id = id, at = at, event = event, webhook = webhook or nil, caller = caller or nil,
    answer = full and answer or nil}
  for i, name in ipairs(fields) do notice[name] = record[i] or nil end
  redis.call('RPUSH', 'segue:webhooks:outbox', cmsgpack.pack(notice))
end

-- Notes that a job has ended. how: as for finish.
local function tell_of_job(how, webhook, caller)
  local event = how.status == 'canceled' and 'job.canceled' or
    (how.status == 'finished' and not how.erred) and 'job.succeeded' or 'job.failed'
  tell('job', how.id, how.at, event, webhook, caller, how.answer, {'created_at', 'meta', 'description'})
end

-- Counts the requests of a batch's part that has ended; with the last part the batch ends.
local function count(batch, items, how)
  local key = 'segue:batch:' .. batch
  local good = how.status == 'finished' and how.good or 0
  redis.call('HINCRBY', key, 'succeeded', good)
  redis.call('HINCRBY', key, how.status == 'canceled' and 'canceled' or 'failed', items - good)
  local done = redis.call('HINCRBY', key, 'done', items)
  if done >= tonumber(redis.call('HGET', key, 'total') or 0) then
    redis.call('HSET', key, 'finished_at', how.at)
    redis.call('EXPIRE', key, how.ttl)
    local webhook, caller = unpack(redis.call('HMGET', key, 'webhook', 'caller'))
    tell('batch', batch, how.at, 'batch.completed', webhook, caller, nil,
      {'created_at', 'meta', 'total', 'succeeded', 'failed', 'canceled', 'cancel'})
    redis.call('PUBLISH', 'segue:done', batch)
  end
end

-- Ends a job; whoever comes first, wins. how: id, status (finished, failed or canceled), at, ttl (seconds that it is
-- kept); answer, erred (whether that is an error), error (as rq.results packs it), worker, good (of a batch's part:
-- requests that succeeded) where there are any. With lease (an execution's id) it ends only if that lease still holds,
-- so a worker that was given up cannot end what another one has in hand. Begins with a write that needs no memory: after
-- one, a full Redis takes the rest.
-- Returns 1; 2 if other jobs depend on it, which RQ's code has then to be told; 0 if nothing was changed.
local function finish(how)
  local job = 'rq:job:' .. how.id
  local status, queue, lease, ours, batch, items, webhook, caller = unpack(redis.call('HMGET', job, 'status',
    'origin', 'lease', 'time_limit', 'batch', 'items', 'webhook', 'caller'))
  if not status or FINAL[status] then
    redis.call('ZREM', 'segue:deadlines', how.id)
    return 0
  end
  lease = how.lease or lease
  local held = lease and redis.call('ZREM', 'rq:wip:' .. queue, how.id .. ':' .. lease)
  if how.lease and held == 0 then return 0 end
  if status == 'queued' then
    redis.call('LREM', 'rq:queue:' .. queue, 1, how.id)
  elseif status == 'scheduled' or status == 'deferred' then
    redis.call('ZREM', 'rq:' .. status .. ':' .. queue, how.id)
  end

  if how.answer then redis.call('SET', 'segue:result:' .. how.id, how.answer, 'EX', how.ttl) end
  redis.call('HSET', job, 'status', how.status, 'ended_at', how.at)
  redis.call('HDEL', job, 'lease', 'progress')
  redis.call('EXPIRE', job, how.ttl)
  if how.status == 'failed' or how.status == 'finished' and not ours then
    local results = 'rq:results:' .. how.id
    local entry = {'type', RESULT_TYPE[how.status], 'worker_name', how.worker or ''}
    if how.error then entry[5], entry[6] = 'exc_string', how.error end
    redis.call('XADD', results, 'MAXLEN', '~', 10, '*', unpack(entry))
    redis.call('EXPIRE', results, how.ttl)
  end
  redis.call('ZADD', 'rq:' .. how.status .. ':' .. queue, math.floor(clock()) + how.ttl, how.id)
  redis.call('ZREM', 'segue:deadlines', how.id)
  if batch then count(batch, tonumber(items), how) end
  if webhook or caller then tell_of_job(how, webhook, caller) end
  redis.call('PUBLISH', 'segue:done', how.id)
  return 1 + redis.call('EXISTS', 'rq:job:' .. how.id .. ':dependents')
end

-- Gives a started job back to its queue, or ends it as failed if it has no retries left. how: as for finish, and
-- `front`: before the others, because it has waited already.
local function again(how)
  local job = 'rq:job:' .. how.id
  local status, queue, left = unpack(redis.call('HMGET', job, 'status', 'origin', 'retries_left'))
  if status ~= 'started' then
    redis.call('ZREM', 'rq:wip:' .. how.queue, how.id .. ':' .. how.lease)
    return 0
  end
  if not ((tonumber(left) or 0) > 0) then return finish(how) end
  if redis.call('ZREM', 'rq:wip:' .. queue, how.id .. ':' .. how.lease) == 0 then return 0 end
  redis.call('HSET', job, 'status', 'queued', 'retries_left', left - 1, 'enqueued_at', how.at)
  redis.call('HDEL', job, 'lease', 'progress')
  redis.call(how.front and 'LPUSH' or 'RPUSH', 'rq:queue:' .. queue, how.id)
  return 1
end

-- Whether a job makes use of what only RQ's own code knows how to do: callbacks, webhooks, dependencies, dependents,
-- repeats, rate limits, pauses between retries. Such a job is run, given back and cleaned up by RQ's code.
local RQ_ONLY = {'success_callback_name', 'failure_callback_name', 'stopped_callback_name', 'webhooks',
  'dependency_ids', 'repeats_left', 'rate_limit_key', 'retry_intervals'}

local function is_plain(job)
  for _, value in ipairs(redis.call('HMGET', job, unpack(RQ_ONLY))) do
    if value and value ~= '' and value ~= '[0]' then return false end
  end
  return redis.call('EXISTS', job .. ':dependents') == 0
end

-- What a caller is told whose Idempotency-Key {key, digest, ttl} was seen before.
local function seen_before(idempotency)
  if not idempotency then return nil end
  local digest, id = unpack(redis.call('HMGET', idempotency.key, 'digest', 'id'))
  if not digest then return nil end
  if digest == idempotency.digest then return {'same', id} end
  return {'conflict'}
end

local function remember(idempotency, id)
  if not idempotency then return end
  redis.call('HSET', idempotency.key, 'digest', idempotency.digest, 'id', id)
  redis.call('EXPIRE', idempotency.key, idempotency.ttl)
end

-- What a caller is told if, with so many bytes more, Redis holds more than a share of its maxmemory.
local function no_room(share, bytes)
  local info = redis.call('INFO', 'memory')
  local most = tonumber(string.match(info, '\nmaxmemory:(%d+)'))
  local used = tonumber(string.match(info, '\nused_memory:(%d+)'))
  if most > 0 and used + bytes > share * most then return {'memory', used, most} end
end

-- What a caller is told whose token bucket {key, per_s, burst} is empty; else a token is taken.
local function over_rate(rate)
  if not rate then return nil end
  local now = clock()
  local tokens, at = unpack(redis.call('HMGET', rate.key, 'tokens', 'at'))
  tokens = math.min(rate.burst, (tonumber(tokens) or rate.burst) + (now - (tonumber(at) or now)) * rate.per_s)
  if tokens < 1 then return {'limited', tostring((1 - tokens) / rate.per_s)} end
  redis.call('HSET', rate.key, 'tokens', tostring(tokens - 1), 'at', string.format('%.6f', now))
  redis.call('EXPIRE', rate.key, math.ceil(rate.burst / rate.per_s) + 1)
end

local given = cmsgpack.unpack(ARGV[1])
