-- Notes that a job has ended that RQ's own code ends, in its transaction. given: as for finish.

local webhook, caller = unpack(redis.call('HMGET', 'rq:job:' .. given.id, 'webhook', 'caller'))
if webhook or caller then tell_of_job(given, webhook, caller) end
return 1
