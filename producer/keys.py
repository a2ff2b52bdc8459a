"""Every Redis key, queue name and lifetime of Segue. RQ's own keys (`rq:…`) are RQ's to name.

`docs/reference/redis.md` lists them; a test compares the two.
"""

from __future__ import annotations

INTERACTIVE = "interactive"
"""The queue of single requests: somebody is waiting. Served before BULK."""

BULK = "bulk"
"""The queue of what nobody waits for second by second: the parts of batches."""

QUEUES = (INTERACTIVE, BULK)
"""What workers work off, the first that has jobs first."""

DONE = "segue:done"
"""Channel: the id of each job that reaches a final state, published in the step that writes it."""

PROGRESS = "segue:progress"
"""Channel: the id of each job whose worker has said how far it is."""

DEADLINES = "segue:deadlines"
"""Sorted set: jobs that are not over yet, score = when (Unix seconds) each is answered with the fallback."""

IDEMPOTENCY = "segue:idempotency:{digest}"
"""Hash: the id of the job of an Idempotency-Key, and a digest of its body. digest: of caller and key."""

RESULT = "segue:result:{job_id}"
"""msgpack: a finished job's answer, `{"ok": …}` or `{"error": …}`. Written with the job's final status, in one step."""

POPULAR = "segue:popular"
"""Hash: popular tracks, field = genre ("" for all), value = msgpack list of tracks. No expiry: the last resort."""

GENRES = "segue:genres"
"""msgpack: the model's genres with how many tracks each has, list of `{"genre", "tracks"}`. No expiry, as POPULAR."""

MAP = "segue:map"
"""Hash: the model's map: `version`; `map`, msgpack of what `GET /v1/map` answers; `picture`, a PNG. No expiry."""

MODEL = "segue:model"
"""msgpack: what the worker that loaded last says of its model. No expiry: it goes with POPULAR."""

WORKERS = "segue:workers"
"""Sorted set: live workers, score = until when (Unix seconds) each may be taken to be alive."""

API_KEYS = "segue:api-keys"
"""Hash: API keys, field = id, value = msgpack: name, scopes, limits, the key's SHA-256. No expiry: revoking deletes."""

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

BATCH = "segue:batch:{batch_id}"
"""Hash: a batch's record: how many requests and parts it has, and what became of how many. Its parts are jobs with the
ids `<batch id>-0`, `-1` …"""

RATE = "segue:rate:{caller}"
"""Hash: the token bucket of a caller's submissions; absent is full. Expires when it would be full again."""

WEBHOOK_OUTBOX = "segue:webhooks:outbox"
"""List: jobs and batches that ended and that somebody is to be told of, written in the step that ends them. Each is a
msgpack map of its own, because a script writes it, which has no codec."""

WEBHOOK_WANTS = "segue:webhooks:wants:{caller}"
"""`thin` or `full`: whether a caller's registered endpoints want to be told, of answers, too. Absent: of nothing."""

WEBHOOK_ENDPOINTS = "segue:webhooks:endpoints:{caller}"
"""Set: the ids of a caller's registered endpoints."""

WEBHOOK_ENDPOINT = "segue:webhooks:endpoint:{endpoint_id}"
"""Hash: a registered endpoint. No expiry: it is there until its owner deletes it."""

WEBHOOK_SECRET = "segue:webhooks:secret:{owner}"  # noqa: S105
"""Hash: what an owner's webhooks are signed with, readable, because signing takes it; the one before, and until when
that is good. owner: an endpoint's id, or `caller:<caller>` for the addresses in that caller's requests. No expiry."""

WEBHOOK_DELIVERY = "segue:webhooks:delivery:{delivery_id}"
"""Hash: a delivery: its bytes, where to, how it stands, and what came of each try. Its id is the `webhook-id`."""

WEBHOOK_INDEX = "segue:webhooks:index:{owner}"
"""Sorted set: an owner's deliveries, score = when they were made (Unix seconds)."""

WEBHOOK_WAITING = "segue:webhooks:waiting:{host}"
"""Sorted set: deliveries to a host, score = when the next try is due."""

WEBHOOK_HOST = "segue:webhooks:host:{host}"
"""Hash: the circuit breaker of a host, and how many tries are in hand; absent is closed. One for all processes."""

WEBHOOK_PROMPT = "segue:webhooks:hosts:prompt"
"""Sorted set: hosts that answered well and soon the last time, with something waiting; score = when to look at them."""

WEBHOOK_OTHERS = "segue:webhooks:hosts:others"
"""Sorted set: the same of all other hosts, new ones among them."""

WEBHOOK_FLYING = "segue:webhooks:flying"
"""Sorted set: deliveries that a process has in hand, score = until when its lease lasts."""

RECOMMEND = "worker.tasks.recommend"
"""The function that a recommendation job names. A string: the producer never imports a worker."""

RECOMMEND_MANY = "worker.tasks.recommend_many"
"""The function that a part of a batch names."""

PLAYLIST = "worker.tasks.playlist"
"""The function that a playlist job names."""

DIAGNOSE = "worker.tasks.diagnose"
"""The function of a job that looks at a playlist."""

COMPLETE = "worker.tasks.complete"
"""The function that a type-ahead job names."""

TRACK = "worker.tasks.track"
"""The function of a job that shows one track."""

COUNT = "worker.tasks.count"
"""The function of a job that counts the tracks that pass filters."""

ON_MAP = "worker.tasks.on_map"
"""The function of a job that looks up the tracks in a window of the map."""

ENDED = "segue:ended:{tenth}"
"""Counter: jobs that workers ended within ten seconds; tenth: Unix time // 10. It says how fast the queue moves."""

RESULT_TTL_S = 3600
"""Results are kept an hour: time enough to fetch one; a day of 50 a second at 7 kB each would be 30 GB."""

FAILURE_TTL_S = 24 * 3600
"""Failed jobs are kept a day for whoever looks after the service. RQ's own default is a year."""

BATCH_TTL_S = 24 * 3600
"""Batches are kept a day after their end: one that was started in the evening is fetched in the morning."""

PART_TIMEOUT_S = 30
"""The worker stops a part of a batch after this many seconds: its requests may each look songs up outside."""

IDEMPOTENCY_TTL_S = 24 * 3600
"""A request may be sent again under its Idempotency-Key for a day: whoever retries later than that means it anew."""

BEAT_S = 1
"""How often a worker says that it is alive, renews its leases, and looks for jobs that others left behind."""

WORKER_ALIVE_S = 10
"""How long a worker is taken to be alive after it said so: a busy machine may keep it from that for a while."""

JOB_TIMEOUT_S = 5
"""The worker stops a job after this many seconds: a thousand times what one takes."""

PLAYLIST_TIMEOUT_S = 30
"""The same for a playlist or a diagnosis: 500 tracks may take seconds, and 400 songs may each be looked up outside."""

LEASE_S = 4
"""A job belongs to its worker for so long after the worker's last beat; then it goes back to its queue."""

RETRIES = 3
"""How often a job is started again after its worker died or it failed. Two would do, but for workers that are killed
every second, as in tests/e2e/test_chaos.py: there some job or other may be unlucky three times."""

DEADLINE_S = 30
"""A job that is not over after this is answered with the fallback, unless its request says otherwise."""

MEMORY_SHARE = 0.8
"""No job is taken when more of Redis's maxmemory is in use: the rest is for the results of those it has."""

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

WEBHOOK_LEASE_S = 20
"""A delivery belongs to its process for so long: a try takes 15 s at most, and then has to be handed in."""

WEBHOOK_SINGLE_GIVE_UP_S = 24 * 3600
"""A webhook of a single request is given up a day after it was made, though its host's breaker kept it from all its
tries: six of them take three hours."""

WEBHOOK_SINGLE_TTL_S = 2 * 24 * 3600
"""Its delivery can be looked at and replayed for another day."""

WEBHOOK_GIVE_UP_S = 7 * 24 * 3600
"""The same for a registered endpoint: ten tries take three and a half days."""

WEBHOOK_TTL_S = 30 * 24 * 3600
"""Deliveries to a registered endpoint can be looked at and replayed for 30 days, as long as they are among the last
WEBHOOK_KEPT of their owner."""

WEBHOOK_KEPT = 10_000
"""Deliveries of one owner that are kept; beyond that the oldest are dropped, whatever became of them, waiting or not:
an endpoint that is down for days must not fill Redis. 15 MB of thin ones, 200 MB of those with the longest results, and
what receivers answer to failed tries, 1 kB each."""

WEBHOOK_TRIES_KEPT = 20
"""What came of the last so many tries of a delivery is kept; a replayed one has more than a schedule's ten."""

WEBHOOK_ENDPOINTS_MOST = 20
"""Endpoints that one caller may register."""

WEBHOOK_OFF_AFTER_S = 5 * 24 * 3600
"""An endpoint that has done nothing but fail for five days is switched off: somebody has forgotten it."""

WEBHOOK_OVERLAP_S = 24 * 3600
"""After a change of secrets webhooks are signed with both for a day, so that receivers may change at their leisure."""

WEBHOOK_BREAKER_FAILURES = 5
"""After so many failures in a row a host is left alone; its deliveries wait, and lose no try by that."""

WEBHOOK_BREAKER_S = 30
"""For so long at first, then twice as long for each further failure."""

WEBHOOK_BREAKER_MOST_S = 300
"""But no longer than this: a receiver that is back is noticed within five minutes."""

WEBHOOK_HOST_TTL_S = 24 * 3600
"""What is known of a host is forgotten a day after the last try."""
