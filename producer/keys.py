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

SPOTIFY_SEARCH = "segue:spotify:search:1:{digest}"
"""msgpack: what Spotify answered to a search, `{"value": …}`, None for no match. digest: of the query; 1: the shape."""

SPOTIFY_ACCESS = "segue:spotify:access:{account}"
"""msgpack: the access token of all workers, until a minute before it runs out. account: a digest of the credentials."""

SPOTIFY_ACCESS_LOCK = "segue:spotify:access-lock:{account}"
"""The lock of the worker that asks for a token; it lives as long as that worker's look-up may."""

RECCOBEATS_FEATURES = "segue:reccobeats:features:1:{track_id}"
"""msgpack: a track's audio features, `{"value": …}`, None for none. track_id: Spotify's; 1: the shape."""

BREAKER = "segue:breaker:{service}"
"""Hash: the circuit breaker of a service outside; absent is closed. To try again at once, delete it."""

BUCKET = "segue:bucket:{service}"
"""Hash: the token bucket of a service outside; absent is full. Expires when it would be full again."""

RECOMMEND = "worker.tasks.recommend"
"""The function that a recommendation job names. A string: the producer never imports a worker."""

COMPLETE = "worker.tasks.complete"
"""The function that a type-ahead job names."""

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

SPOTIFY_HIT_TTL_S = 24 * 3600
"""A song's ids are kept a day: that saves nearly all repeats, and Spotify's terms allow no collection. At our bound of
a call a second a day of them is some 130 MB at the very most."""

SPOTIFY_MISS_TTL_S = 6 * 3600
"""That Spotify has no such song is kept six hours: it may be published today."""

RECCOBEATS_HIT_TTL_S = 7 * 24 * 3600
"""A track's features never change; at our bound of a call in two seconds a week of them is 100 MB at the very most."""

RECCOBEATS_MISS_TTL_S = 24 * 3600
"""That ReccoBeats lacks a track is kept a day: it adds some daily."""

BREAKER_OPEN_S = 60
"""After too many failures a service is left alone for a minute: most outages are over, and waiting costs nobody."""

BREAKER_MEMORY_S = 3600
"""For an hour after that one failure opens the breaker again: it is tried by one caller, not by all."""

RETRY_AFTER_S = 30
"""How long a 429 without Retry-After stops all calls: the window that Spotify counts them in."""

RETRY_AFTER_MOST_S = 24 * 3600
"""The longest Retry-After that is believed; Spotify has sent a day."""

QUOTA_OPEN_S = 3600
"""The account's quota is used up: an hour at least, whatever Retry-After says. It is not refilled in minutes."""

REFUSED_OPEN_S = 600
"""Credentials were refused: only their owner can mend that. Other credentials have another breaker."""

PREMIUM_OPEN_S = 6 * 3600
"""The app's owner has no Premium: that takes somebody to pay, not time."""
