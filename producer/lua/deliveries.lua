-- How a webhook's delivery changes its state. Every script about deliveries begins with this text; each runs as one step.
--
--   segue:webhooks:outbox            list: what ended and is to be told, written by the script that ended it (jobs.lua)
--   segue:webhooks:delivery:<id>     hash: a delivery. state: pending, delivered or dead; round: tries since it was made
--                                    or replayed; tries: all of them; try:<n>: what came of one (producer/deliveries.py)
--   segue:webhooks:waiting:<host>    sorted set: deliveries to a host, score = when the next try is due
--   segue:webhooks:flying            sorted set: "<id> <lease> <host>" of those being tried, score = until when
--   segue:webhooks:host:<host>       hash: flying (tries in hand), failures (in a row), open_until (nobody calls it
--                                    until then), prompt (1: its last answer was good and came soon)
--   segue:webhooks:hosts:prompt, segue:webhooks:hosts:others   sorted sets: hosts with something waiting and room for
--                                    another try, score = when to look at them; in one of the two, by `prompt`
-- A delivery is waiting or flying, or it is over. A host that does not answer, or not soon, has one try in hand at a
-- time, and all of those together a share of the slots only; so they delay nobody whose receiver is well.

local given = cmsgpack.unpack(ARGV[1])
local W = 'segue:webhooks:'
local FLYING, PROMPT, OTHERS = W .. 'flying', W .. 'hosts:prompt', W .. 'hosts:others'
local AT_ONCE_PROMPT, AT_ONCE = 2, 1

-- Redis's own clock, in seconds, as in jobs.lua.
local now
do
  local t = redis.call('TIME')
  now = tonumber(t[1]) + tonumber(t[2]) / 1000000
end

local function text(seconds) return string.format('%.6f', seconds) end

-- Says when to look at a host next. sooner: only if that is sooner than what was said before; else it goes to the end
-- of the row, behind the hosts that have waited longer.
local function look_at(host, sooner)
  local flying, open_until, prompt = unpack(redis.call('HMGET', W .. 'host:' .. host, 'flying', 'open_until', 'prompt'))
  local ours, other, most = OTHERS, PROMPT, AT_ONCE
  if prompt == '1' then ours, other, most = PROMPT, OTHERS, AT_ONCE_PROMPT end
  redis.call('ZREM', other, host)
  local first = redis.call('ZRANGE', W .. 'waiting:' .. host, 0, 0, 'WITHSCORES')
  if not first[1] or (tonumber(flying) or 0) >= most then
    redis.call('ZREM', ours, host)
    return
  end
  local at = math.max(tonumber(first[2]), tonumber(open_until) or 0)
  if sooner then
    redis.call('ZADD', ours, 'LT', text(at), host)
  else
    redis.call('ZADD', ours, text(math.max(at, now)), host)
  end
end

local function wait(id, host, at)
  redis.call('HSET', W .. 'delivery:' .. id, 'state', 'pending', 'next_at', text(at))
  redis.call('ZADD', W .. 'waiting:' .. host, text(at), id)
  look_at(host, true)
end

-- Ends a delivery. why: of one that is dead.
local function over(id, state, why)
  redis.call('HSET', W .. 'delivery:' .. id, 'state', state, 'ended_at', text(now), 'why', why or '')
  redis.call('HDEL', W .. 'delivery:' .. id, 'next_at')
end

local function fly(host, how_many)
  local key = W .. 'host:' .. host
  if redis.call('HINCRBY', key, 'flying', how_many) < 0 then redis.call('HSET', key, 'flying', 0) end
  redis.call('EXPIRE', key, given.host_ttl)
end

-- Works out whether a caller's endpoints want to be told anything: what jobs.lua asks. full: answers, too.
local function count_wants(caller)
  local wants
  for _, id in ipairs(redis.call('SMEMBERS', W .. 'endpoints:' .. caller)) do
    local enabled, full = unpack(redis.call('HMGET', W .. 'endpoint:' .. id, 'enabled', 'include_result'))
    if enabled == '1' then wants = (full == '1' or wants == 'full') and 'full' or 'thin' end
  end
  if wants then
    redis.call('SET', W .. 'wants:' .. caller, wants)
  else
    redis.call('DEL', W .. 'wants:' .. caller)
  end
end

local function switch_off(endpoint, why)
  local key = W .. 'endpoint:' .. endpoint
  redis.call('HSET', key, 'enabled', 0, 'disabled_reason', why, 'disabled_at', text(now))
  count_wants(redis.call('HGET', key, 'caller'))
end
