"""RQ's own worker and ours leave the same in Redis, but for what is listed here.

Before RQ's pin is moved: run this test with the new RQ. What differs then is what RQ writes anew: see what it is for,
then write it in `producer/lua/jobs.lua`, or list it below with the reason why not. Also read the diff of what
`worker/queue_worker.py` and `worker/rq_jobs.py` say that they override.
"""

from __future__ import annotations

import base64
import re
import subprocess
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from rq import Queue, Retry

import settings
from producer import codec, keys
from tests.bare import FUNCTION, Workers, ended, kill, rqs_own_worker, started, submit
from tests.services import wait_for

OURS_ALONE = {
    "segue:result:the-job": "the answer lies under our own key, unless the job failed",
    "segue:model": "the worker publishes its model",
    "segue:popular": "and its popular lists",
    "segue:genres": "and its genres",
    "segue:ended:<time>": "it counts what it has ended, except in RQ's own loop",
}
RQS_ALONE = {
    "rq:clean_groups": "a lock of ten minutes; ours lasts ten seconds, and is taken ten seconds after the start",
    "rq:results:the-job return_value": "the answer lies under our own key alone",
    "rq:results:the-job execution_id": "an execution has no record of its own, so nothing could be looked up with it",
    "rq:results:the-job execution_started_at": "the job's record says it",
    "rq:results:the-job execution_ended_at": "the job's record says it",
}
SOFTER = {
    "total_working_time": "measured in other places",
    "exc_string": "the same error, other lines of the worker's own in its traceback",
    "ip_address": "of another connection",
    "pid": "of another process",
}
"""Fields that both write, and whose values need not be the same."""


@dataclass(frozen=True)
class Left:
    """What lies under a key: its type, how many seconds it is kept, and its content, ids and times made alike."""

    kind: str
    kept_s: int
    content: Any


def left_in(connection: redis.Redis) -> dict[str, Left]:
    """Return all that lies in Redis."""
    found = {}
    any_client: Any = connection
    for raw in sorted(any_client.scan_iter()):
        key, kind = raw.decode(), any_client.type(raw).decode()
        content: Any
        match kind:
            case "hash":
                content = alike(any_client.hgetall(key))
            case "stream":
                content = [alike(fields) for _, fields in any_client.xrange(key)]
            case "zset":
                content = connection.zrange(key, 0, -1)  # scores: compared with what they are made of, below
            case "set":
                content = connection.smembers(key)
            case "list":
                content = connection.lrange(key, 0, -1)
            case _:
                content = None
        found[alike({b"": raw})[""]] = Left(kind, round(connection.ttl(key) / 60) * 60, content)
    return found


def alike(fields: dict[bytes, bytes]) -> dict[str, str]:
    """Return fields with what differs from run to run made alike."""
    shown = {}
    for name, raw in fields.items():
        text = raw.decode("utf-8", "replace")
        text = re.sub(r"\b[0-9a-f]{32}\b", "<worker>", text)
        text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "<time>", text)
        shown[name.decode()] = re.sub(r"^(segue:ended:)\d+$", r"\1<time>", text)
    return shown


@pytest.fixture(params=["echo", "broken"])
def left(request: pytest.FixtureRequest, connection: redis.Redis, either: Workers) -> dict[str, dict[str, Left]]:
    """What RQ's worker leaves of a job, and what ours leaves of the same job."""
    found = {}
    for who in ("rq", "ours"):
        connection.flushall()
        rq_queue = Queue(keys.INTERACTIVE, connection=connection, serializer=codec.RQSerializer)
        rq_queue.enqueue(
            FUNCTION.format(request.param),
            {"n": 1},
            job_id="the-job",
            retry=Retry(max=1),
            result_ttl=1200,
            failure_ttl=2400,
            meta={"a": "b"},
        )
        if who == "rq":
            rqs_own_worker(str(request.getfixturevalue("redis_url")))
        else:
            either.start()
        assert ended(connection, "the-job") == ["finished" if request.param == "echo" else "failed"]
        wait_for(lambda: all(connection.hget(k, "state") == b"idle" for k in connection.keys("rq:worker:*")), "rest")
        either.stop()
        found[who] = left_in(connection)
        registry = f"rq:{'finished' if request.param == 'echo' else 'failed'}:interactive"
        score = connection.zscore(registry, "the-job")
        assert score is not None
        assert abs(score - connection.time()[0] - connection.ttl("rq:job:the-job")) <= 2
    return found


def test_a_job_leaves_what_rqs_own_worker_leaves(left: dict[str, dict[str, Left]], either: Workers) -> None:
    rqs, ours = left["rq"], left["ours"]
    failed = "rq:failed:interactive" in rqs
    absent = {"segue:result:the-job"} if failed else set()
    absent |= {"segue:ended:<time>"} if either.one_by_one else set()
    assert ours.keys() - rqs.keys() == OURS_ALONE.keys() - absent
    assert rqs.keys() - ours.keys() == {name for name in RQS_ALONE if " " not in name}
    for key in rqs.keys() & ours.keys():
        assert (ours[key].kind, ours[key].kept_s) == (rqs[key].kind, rqs[key].kept_s), key
        theirs, own = rqs[key].content, ours[key].content
        if key == "rq:results:the-job":
            (theirs,), (own,) = theirs, own
            dropped = {name.split()[1] for name in RQS_ALONE if " " in name}
            assert theirs.keys() - own.keys() == dropped - ({"return_value"} if failed else set())
            theirs = {name: value for name, value in theirs.items() if name in own}
        if isinstance(theirs, dict):
            assert own.keys() == theirs.keys(), key
            theirs, own = ({n: v for n, v in fields.items() if n not in SOFTER} for fields in (theirs, own))
        assert own == theirs, key
    said = [_error(who) for who in (rqs, ours)]
    assert said[0][:1] + said[0][-1:] == said[1][:1] + said[1][-1:]  # between them the way through each worker


def _error(left: dict[str, Left]) -> list[str]:
    """Return the lines of the traceback that was kept."""
    packed = left["rq:results:the-job"].content[0].get("exc_string")
    return zlib.decompress(base64.b64decode(packed)).decode().splitlines() if packed else []


def rq_info(redis_url: str) -> str:
    """Return what `rq info` shows to an operator."""
    command = [str(Path(sys.executable).with_name("rq")), "info", "--raw", "--url", redis_url]
    asked = [*command, "--serializer", "producer.codec.RQSerializer"]
    return subprocess.run(asked, cwd=settings.ROOT, capture_output=True, text=True, check=True, timeout=60).stdout


def test_rq_info_tells_the_truth(redis_url: str, connection: redis.Redis, either: Workers) -> None:
    (process,) = either.start()
    good, bad = [submit(connection, "echo", {"n": n}) for n in range(5)], submit(connection, "broken")
    assert set(ended(connection, *good)) == {"finished"}
    assert ended(connection, bad) == ["failed"]
    started(connection, submit(connection, "nap", {"seconds": 60}, time_limit_s=60))
    for _ in range(3):
        submit(connection, "alone")
    submit(connection, "echo", queue=keys.BULK)
    shown = rq_info(redis_url)
    assert "queue interactive 3, 1 executing, 5 finished, 1 failed" in shown
    assert "queue bulk 1, 0 executing, 0 finished, 0 failed" in shown
    assert re.search(r"^worker \w+ \(.+\) busy interactive, bulk\. jobs: 5 finished, 4 failed$", shown, re.M)
    kill(process)
