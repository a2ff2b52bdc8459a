"""One system each: `client()` queues its jobs; its worker is started by `bench.queue_systems`."""
