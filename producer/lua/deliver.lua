-- A delivery process's one round trip: hands in what came of its tries, and takes what is due. given: settled, lease
-- (unique to this call), lease_s, slots (how many to take), others (how many of them from such hosts), breaker {after
-- (failures in a row), least_s, most_s}, off_after_s (an endpoint that has only failed for so long is switched off),
-- tries_kept, host_ttl. Of each settled: id, lease, host, outcome (delivered, retry, dead, gone, returned), log (of the
-- try, packed), pause_s (before the next one), why (of a dead one), healthy (whether the host is), prompt.
-- Returns {endpoints that were switched off, those taken, seconds until the next prompt host is due, the same of the
-- others, how many came back because their lease had run out}; seconds are text, '' if nothing waits.
-- Of each taken: id, lease, host, event, body, address, secret, old secret or '', tries, round, endpoint or '', prompt.

local off = {}

local function judge(s)
  local key = W .. 'host:' .. s.host
  if s.healthy then
    redis.call('HSET', key, 'failures', 0, 'prompt', s.prompt and 1 or 0)
    redis.call('HDEL', key, 'open_until')
    return
  end
  local beyond = redis.call('HINCRBY', key, 'failures', 1) - given.breaker.after
  redis.call('HSET', key, 'prompt', 0)
  if beyond >= 0 then
    local pause = math.min(given.breaker.most_s, given.breaker.least_s * 2 ^ math.min(beyond, 20))
    redis.call('HSET', key, 'open_until', text(now + pause))
  end
end

-- An endpoint that fails and fails is switched off, with the reason where its owner looks.
local function note(endpoint, s)
  local key = W .. 'endpoint:' .. endpoint
  local enabled, since = unpack(redis.call('HMGET', key, 'enabled', 'failing_since'))
  if not enabled then return end
  if s.outcome == 'delivered' then
    redis.call('HDEL', key, 'failing_since')
    return
  end
  if not since then redis.call('HSET', key, 'failing_since', text(now)) end
  local why = s.outcome == 'gone' and 'it answered 410 Gone'
  if since and now - tonumber(since) >= given.off_after_s then
    why = why or string.format('nothing but failures for %d days', math.floor((now - tonumber(since)) / 86400))
  end
  if why and enabled == '1' then
    switch_off(endpoint, why)
    off[#off + 1] = endpoint
  end
end

local function settle(s)
  if redis.call('ZREM', FLYING, s.id .. ' ' .. s.lease .. ' ' .. s.host) == 0 then return end  -- given to another one
  fly(s.host, -1)
  local key = W .. 'delivery:' .. s.id
  local endpoint = redis.call('HGET', key, 'endpoint')
  if s.outcome ~= 'returned' then
    judge(s)
    if endpoint then note(endpoint, s) end
  end
  if redis.call('EXISTS', key) == 1 then  -- else its owner has deleted it meanwhile
    if s.outcome == 'returned' then
      wait(s.id, s.host, now)
    else
      local n = redis.call('HINCRBY', key, 'tries', 1)
      redis.call('HINCRBY', key, 'round', 1)
      redis.call('HSET', key, 'try:' .. n, s.log)
      redis.call('HDEL', key, 'try:' .. n - given.tries_kept)
      if s.outcome == 'retry' then
        wait(s.id, s.host, now + s.pause_s)
      else
        over(s.id, s.outcome == 'delivered' and 'delivered' or 'dead', s.why)
      end
    end
  end
  look_at(s.host)
end

local taken = {}

-- Takes one delivery that is due at a host. → whether there may be more.
local function take_one(host, prompt)
  local queue = W .. 'waiting:' .. host
  local id = redis.call('ZRANGEBYSCORE', queue, '-inf', now, 'LIMIT', 0, 1)[1]
  if not id then return false end
  redis.call('ZREM', queue, id)
  local key = W .. 'delivery:' .. id
  local owner, endpoint, url, event, body, tries, round, give_up_at = unpack(redis.call('HMGET', key, 'owner',
    'endpoint', 'url', 'event', 'body', 'tries', 'round', 'give_up_at'))
  if not body then return true end  -- it has expired, or was deleted
  if now > tonumber(give_up_at) then
    over(id, 'dead', 'it became too old')
    return true
  end
  if endpoint then
    local there, its_host, enabled = unpack(redis.call('HMGET', W .. 'endpoint:' .. endpoint, 'url', 'host', 'enabled'))
    if not there then
      redis.call('DEL', key)
      return true
    elseif enabled ~= '1' and event ~= 'endpoint.ping' then
      over(id, 'dead', 'the endpoint is switched off')
      return true
    elseif its_host ~= host then  -- its address was changed
      redis.call('HSET', key, 'host', its_host)
      wait(id, its_host, now)
      return true
    end
    url = there
  end
  local secret, old, old_until = unpack(redis.call('HMGET', W .. 'secret:' .. owner, 'secret', 'old', 'old_until'))
  if (tonumber(old_until) or 0) < now then old = '' end
  redis.call('ZADD', FLYING, text(now + given.lease_s), id .. ' ' .. given.lease .. ' ' .. host)
  fly(host, 1)
  taken[#taken + 1] = {id, given.lease, host, event, body, url, secret or '', old or '', tonumber(tries),
    tonumber(round), endpoint or '', prompt and 1 or 0}
  return true
end

local function take(hosts, room, at_once)
  for _, host in ipairs(room > 0 and redis.call('ZRANGEBYSCORE', hosts, '-inf', now, 'LIMIT', 0, room) or {}) do
    local most = at_once - (tonumber(redis.call('HGET', W .. 'host:' .. host, 'flying')) or 0)
    local looks = 0
    while most > 0 and room > 0 and looks < 50 do  -- bounded: a host may have thousands that are over
      local before = #taken
      if not take_one(host, hosts == PROMPT) then break end
      most, room, looks = most - (#taken - before), room - (#taken - before), looks + 1
    end
    look_at(host)
  end
end

local function next_of(hosts)
  local first = redis.call('ZRANGE', hosts, 0, 0, 'WITHSCORES')
  return first[2] and text(math.max(0, tonumber(first[2]) - now)) or ''
end

for _, s in ipairs(given.settled) do settle(s) end
local late = redis.call('ZRANGEBYSCORE', FLYING, '-inf', now, 'LIMIT', 0, 100)
for _, member in ipairs(late) do
  redis.call('ZREM', FLYING, member)
  local id, host = string.match(member, '^(%S+) %S+ (%S+)$')
  if id then
    fly(host, -1)
    if redis.call('HGET', W .. 'delivery:' .. id, 'state') == 'pending' then wait(id, host, now) end
    look_at(host)
  end
end
take(PROMPT, given.slots, AT_ONCE_PROMPT)
take(OTHERS, math.min(given.others, given.slots - #taken), AT_ONCE)
return {off, taken, next_of(PROMPT), next_of(OTHERS), #late}
