"""Worker processes on a real Redis: what they answer, what they refuse, and what their death costs."""

from __future__ import annotations

import pickle
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
import redis
from rq import Callback, Queue, Retry
from rq.job import Job as RQJob
from rq.registry import FailedJobRegistry, StartedJobRegistry

from artifacts.model import Model
from producer import codec, fallback, keys, queue, results
from producer.schema import Job, Query, Status
from tests.services import running, stop, wait_for, worker


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "worker.log"


@pytest.fixture
def a_worker(redis_url: str, connection: redis.Redis, models_dir: Path, log: Path) -> Iterator[Popen[bytes]]:
    with worker(redis_url, models_dir, log) as process:
        wait_for(lambda: fallback.live_workers(connection), f"a worker; see {log}")
        yield process


def slow_worker(redis_url: str, models_dir: Path, log: Path) -> AbstractContextManager[Popen[bytes]]:
    environment = {"REDIS_URL": redis_url, "ARTIFACTS_DIR": str(models_dir)}
    return running([sys.executable, "-m", "tests.slow_worker"], log, environment)


def submit(connection: redis.Redis, **query: Any) -> Job:
    return queue.submit(connection, Query.model_validate(query), queue_limit=1000)


def finished(connection: redis.Redis, job_id: str, deadline_s: float = 20.0) -> Job:
    def look() -> Job | None:
        job = results.get_job(connection, job_id)
        return job if job.status.is_final else None

    return wait_for(look, f"job {job_id}", deadline_s)


def enqueue(connection: redis.Redis, function: str, *args: Any, **options: Any) -> str:
    """Enqueue by RQ's own Queue, as anybody may who can write to Redis."""
    rq_queue = Queue(keys.INTERACTIVE, connection=connection, serializer=codec.RQSerializer)
    chosen: dict[str, Any] = {"timeout": keys.JOB_TIMEOUT_S, "retry": Retry(max=keys.RETRIES), **options}
    return str(rq_queue.enqueue_call(function, args=args, **chosen).id)


@pytest.mark.usefixtures("a_worker")
def test_a_song_of_the_catalogue_gives_its_neighbours(connection: redis.Redis, demo_model: Model) -> None:
    track = demo_model.track(100)
    found = finished(connection, submit(connection, seeds=[{"track_id": track["track_id"]}], limit=7).id)
    assert found.status is Status.SUCCEEDED
    assert found.result
    result = found.result
    assert (result.strategy, result.degraded, result.model) == ("catalogue", False, demo_model.manifest.version)
    assert [t.rank for t in result.tracks] == [1, 2, 3, 4, 5, 6, 7]
    assert result.notice
    assert "invented" in result.notice
    assert result.seeds[0].track_id == track["track_id"]
    assert found.started_at
    assert found.finished_at
    assert found.expires_at
    assert found.created_at <= found.started_at <= found.finished_at < found.expires_at


@pytest.mark.usefixtures("a_worker")
def test_a_song_by_its_name_is_the_same_as_by_its_id(connection: redis.Redis, demo_model: Model) -> None:
    row = next(r for r in range(len(demo_model)) if len(demo_model.artists_of(r)) == 1)
    track = demo_model.track(demo_model.rows_of_name(demo_model.name[row], demo_model.artists_of(row)[0])[0])
    by_id = finished(connection, submit(connection, seeds=[{"track_id": track["track_id"]}]).id).result
    seed = {"name": f"  {track['name'].upper()} ", "artist": track["artists"][0].lower()}
    by_name = finished(connection, submit(connection, seeds=[seed]).id).result
    assert by_id
    assert by_name
    assert by_name.tracks == by_id.tracks
    assert by_name.seeds == by_id.seeds


@pytest.mark.usefixtures("a_worker")
def test_an_unknown_song_gives_popular_tracks_and_says_so(connection: redis.Redis) -> None:
    found = finished(connection, submit(connection, seeds=[{"name": "(((no such song***"}], limit=5).id)
    assert found.result
    assert (found.result.strategy, found.result.degraded) == ("popular", True)
    assert [t.track_id for t in found.result.tracks] == [
        t.track_id for t in fallback.popular(connection, None, 5).tracks
    ]
    assert any("popular tracks, not similar ones" in warning for warning in found.result.warnings)


@pytest.mark.usefixtures("a_worker")
def test_the_answer_lies_under_our_key_alone_and_expires(connection: redis.Redis) -> None:
    job = submit(connection, seeds=[{"name": "nothing"}])
    finished(connection, job.id)
    key = keys.RESULT.format(job_id=job.id)
    packed = connection.get(key)
    assert isinstance(packed, bytes)
    assert codec.unpack(packed)["ok"]["strategy"] == "popular"
    assert 0 < connection.ttl(key) <= keys.RESULT_TTL_S
    assert 0 < connection.ttl(RQJob.key_for(job.id)) <= keys.RESULT_TTL_S
    stored = RQJob.fetch(job.id, connection=connection, serializer=codec.RQSerializer)
    assert stored.return_value() is None
    assert connection.zcard("rq:wip:interactive") == 0
    assert connection.llen("rq:queue:interactive") == 0


@pytest.mark.usefixtures("a_worker")
def test_another_function_is_refused(connection: redis.Redis, tmp_path: Path) -> None:
    victim = tmp_path / "touched"
    job_id = enqueue(connection, "pathlib.Path.touch", str(victim), retry=None)
    assert finished(connection, job_id).status is Status.FAILED
    assert job_id in FailedJobRegistry(keys.INTERACTIVE, connection=connection).get_job_ids()
    assert not victim.exists()


class _Touch:
    """Touches a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return (Path.touch, (Path(self.path),))


@pytest.mark.usefixtures("a_worker")
def test_a_pickled_job_is_refused_unread(connection: redis.Redis, tmp_path: Path) -> None:
    victim = tmp_path / "touched"
    rq_queue = Queue(keys.INTERACTIVE, connection=connection)  # RQ's default: pickle
    job_id = str(rq_queue.enqueue(keys.RECOMMEND, _Touch(str(victim))).id)
    assert finished(connection, job_id).status is Status.FAILED
    assert job_id in FailedJobRegistry(keys.INTERACTIVE, connection=connection).get_job_ids()
    assert not victim.exists()
    pickle.loads(pickle.dumps(_Touch(str(victim))))
    assert victim.exists()  # it would have


@pytest.mark.usefixtures("a_worker")
def test_callbacks_and_rqs_webhooks_are_not_carried_out(connection: redis.Redis, tmp_path: Path) -> None:
    payload = {"seeds": [{"name": "x"}]}
    rq_queue = Queue(keys.INTERACTIVE, connection=connection, serializer=codec.RQSerializer)
    job_id = str(rq_queue.enqueue(keys.RECOMMEND, payload, on_failure=Callback("tests.slow_worker.poison")).id)
    assert finished(connection, job_id).status is Status.FAILED
    assert finished(connection, submit(connection, **payload).id).status is Status.SUCCEEDED  # it is still there


@pytest.mark.usefixtures("a_worker")
def test_a_misspelt_song_is_found_and_says_how_sure_it_is(connection: redis.Redis, demo_model: Model) -> None:
    row = next(r for r in range(len(demo_model)) if len(demo_model.name[r]) > 15 and demo_model.name[r].isascii())
    name, artist = demo_model.name[row], demo_model.artists_of(row)[0]
    found = finished(connection, submit(connection, seeds=[{"name": name[:5] + name[6:], "artist": artist}]).id).result
    assert found
    assert (found.strategy, found.degraded) == ("fuzzy", False)
    assert found.seeds[0].name == name
    assert 0.7 < found.seeds[0].match < 1
    assert [a.strategy for a in found.attempts] == ["catalogue", "spotify", "fuzzy"]
    assert found.attempts[1].outcome == "skipped"


@pytest.mark.usefixtures("a_worker")
def test_type_ahead_is_served_by_the_worker(connection: redis.Redis, demo_model: Model) -> None:
    job_id = enqueue(connection, keys.COMPLETE, {"q": demo_model.name[7][:4].lower(), "limit": 5})
    key = keys.RESULT.format(job_id=job_id)
    packed = wait_for(lambda: connection.get(key), "the completions")
    assert isinstance(packed, bytes)
    tracks = codec.unpack(packed)["ok"]["tracks"]
    assert 1 <= len(tracks) <= 5
    popularity = [track["popularity"] or -1 for track in tracks]
    assert popularity == sorted(popularity, reverse=True)


@pytest.mark.usefixtures("a_worker")
def test_a_message_of_another_release_fails_with_its_field(connection: redis.Redis) -> None:
    job = finished(connection, enqueue(connection, keys.RECOMMEND, {"seeds": [{"name": "x"}], "limit": 1000}))
    assert job.status is Status.FAILED
    assert job.error
    assert (job.error.code, job.error.pointer) == ("invalid-request", "/limit")


def test_what_fails_is_tried_three_times_then_kept(
    redis_url: str, connection: redis.Redis, models_dir: Path, log: Path
) -> None:
    with slow_worker(redis_url, models_dir, log):
        for function in ("broken", "unpackable"):
            job_id = enqueue(connection, f"tests.slow_worker.{function}", failure_ttl=keys.FAILURE_TTL_S)
            assert finished(connection, job_id).status is Status.FAILED
            stored = RQJob.fetch(job_id, connection=connection, serializer=codec.RQSerializer)
            assert stored.retries_left == 0
            latest = stored.latest_result()
            assert latest
            assert ("on purpose" if function == "broken" else "cannot be packed") in (latest.exc_string or "")
            assert job_id in FailedJobRegistry(keys.INTERACTIVE, connection=connection).get_job_ids()
    assert log.read_text().count("RuntimeError: broken on purpose") == 3


def test_a_job_that_takes_too_long_is_stopped(
    redis_url: str, connection: redis.Redis, models_dir: Path, log: Path
) -> None:
    with slow_worker(redis_url, models_dir, log):
        job_id = enqueue(connection, "tests.slow_worker.nap", 60, timeout=1, retry=None)
        assert finished(connection, job_id).status is Status.FAILED


def test_a_worker_killed_in_the_middle_of_a_job_costs_no_job(
    redis_url: str, connection: redis.Redis, models_dir: Path, log: Path
) -> None:
    with slow_worker(redis_url, models_dir, log) as first:
        job_id = enqueue(connection, "tests.slow_worker.nap", 2)
        wait_for(lambda: results.get_job(connection, job_id).status is Status.RUNNING, "the job to run")
        stop(first, signal.SIGKILL)
        assert results.get_job(connection, job_id).status is Status.RUNNING
        with slow_worker(redis_url, models_dir, log):
            assert finished(connection, job_id, 30).status is Status.SUCCEEDED
    assert StartedJobRegistry(keys.INTERACTIVE, connection=connection).get_job_ids(cleanup=False) == []


def test_a_worker_killed_between_taking_and_starting_a_job_costs_no_job(
    redis_url: str, connection: redis.Redis, models_dir: Path, log: Path
) -> None:
    job = submit(connection, seeds=[{"name": "x"}])
    # Where such a death leaves a job: moved out of its queue, in no registry.
    connection.lmove("rq:queue:interactive", "rq:queue:interactive:intermediate")
    with worker(redis_url, models_dir, log):
        assert finished(connection, job.id, 30).status is Status.SUCCEEDED
    assert connection.llen("rq:queue:interactive:intermediate") == 0


def _dead_or_final(process: Popen[bytes], connection: redis.Redis, job_id: str) -> bool:
    return process.poll() is not None or results.get_job(connection, job_id).status.is_final


def test_a_poison_job_fails_and_its_neighbour_is_answered(
    redis_url: str, connection: redis.Redis, models_dir: Path, log: Path
) -> None:
    poison = enqueue(connection, "tests.slow_worker.poison", timeout=1, retry=Retry(max=1))
    neighbour = submit(connection, seeds=[{"name": "x"}])
    deaths = 0
    while not results.get_job(connection, poison).status.is_final:
        assert deaths < 4, f"see {log}"
        with slow_worker(redis_url, models_dir, log) as process:
            wait_for(partial(_dead_or_final, process, connection, poison), "a death, or the end of it")
        deaths += 1
    assert results.get_job(connection, poison).status is Status.FAILED
    with worker(redis_url, models_dir, log):
        assert finished(connection, neighbour.id).status is Status.SUCCEEDED


def test_sigterm_finishes_the_job_in_hand(redis_url: str, connection: redis.Redis, models_dir: Path, log: Path) -> None:
    with slow_worker(redis_url, models_dir, log) as process:
        job_id = enqueue(connection, "tests.slow_worker.nap", 1)
        wait_for(lambda: results.get_job(connection, job_id).status is Status.RUNNING, "the job to run")
        later = submit(connection, seeds=[{"name": "x"}])
        assert stop(process) == 0
    assert results.get_job(connection, job_id).status is Status.SUCCEEDED
    assert results.get_job(connection, later.id).status is Status.QUEUED
    assert fallback.live_workers(connection) == 0


def test_a_worker_without_a_model_says_what_to_do(redis_url: str, tmp_path: Path, log: Path) -> None:
    with worker(redis_url, tmp_path / "none", log) as process:
        assert process.wait(20) == 1
    assert "python -m training --demo" in log.read_text()
    assert "Traceback" not in log.read_text()
