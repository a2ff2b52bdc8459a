-- Reads a job. given: id, fields. Returns {its fields, its answer, its deadline (Unix seconds) if it is not over}.
return {redis.call('HMGET', 'rq:job:' .. given.id, unpack(given.fields)), redis.call('GET', 'segue:result:' .. given.id),
  redis.call('ZSCORE', 'segue:deadlines', given.id)}
