"""Every Redis key, queue name and lifetime of Segue. RQ's own keys (`rq:…`) are RQ's to name.

`docs/reference/redis.md` lists them; a test compares the two.
"""

from __future__ import annotations

INTERACTIVE = "interactive"
"""The queue of single requests: somebody is waiting."""

RESULT = "segue:result:{job_id}"
"""msgpack: a finished job's answer, `{"ok": …}` or `{"error": …}`. Written with the job's final status, in one step."""

POPULAR = "segue:popular"
"""Hash: popular tracks, field = genre ("" for all), value = msgpack list of tracks. No expiry: the last resort."""

MODEL = "segue:model"
"""msgpack: what the worker that loaded last says of its model. No expiry: it goes with POPULAR."""

WORKERS = "segue:workers"
"""Sorted set: live workers, score = until when (Unix seconds) each may be taken to be alive."""

RECOMMEND = "worker.tasks.recommend"
"""The function that a recommendation job names. A string: the producer never imports a worker."""

RESULT_TTL_S = 3600
"""Results are kept an hour: time enough to fetch one; a day of 50 a second at 7 kB each would be 30 GB."""

FAILURE_TTL_S = 24 * 3600
"""Failed jobs are kept a day for whoever looks after the service. RQ's own default is a year."""

WORKER_ALIVE_S = 10
"""A worker renews its entry every second when idle; a job may keep it from that for JOB_TIMEOUT_S."""

JOB_TIMEOUT_S = 5
"""The worker stops a job after this many seconds: a thousand times what one takes."""

LEASE_MARGIN_S = 2
"""A job whose worker died goes back to its queue JOB_TIMEOUT_S + LEASE_MARGIN_S after it was started."""

RETRIES = 2
"""How often a job is started again after its worker died or failed. RQ fails an abandoned job that has none left."""
