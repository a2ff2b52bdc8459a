"""Worker processes on a real Redis: what they answer, what they refuse, and what their death costs.

What the queue promises whatever the jobs are is tested without a model: test_taking.py, test_leases.py …
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from subprocess import Popen

import pytest
import redis
from rq import Retry
from rq.job import Job as RQJob
from rq.registry import FailedJobRegistry, StartedJobRegistry

from artifacts.model import Model
from producer import codec, fallback, keys, results
from producer.jobs import Status
from producer.schema import Result
from tests.jobs import enqueue, finished, submit
from tests.services import stop, wait_for, worker


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "worker.log"


@pytest.fixture
def a_worker(redis_url: str, connection: redis.Redis, models_dir: Path, log: Path) -> Iterator[Popen[bytes]]:
    with worker(redis_url, models_dir, log) as process:
        wait_for(lambda: fallback.live_workers(connection), f"a worker; see {log}")
        yield process


slow_worker = partial(worker, module="tests.slow_worker")


@pytest.mark.usefixtures("a_worker")
def test_a_song_of_the_catalogue_gives_its_neighbours(connection: redis.Redis, demo_model: Model) -> None:
    track = demo_model.track(100)
    found = finished(connection, submit(connection, seeds=[{"track_id": track["track_id"]}], limit=7))
    assert found.status is Status.SUCCEEDED
    assert isinstance(found.result, Result)
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
    by_id = finished(connection, submit(connection, seeds=[{"track_id": track["track_id"]}])).result
    seed = {"name": f"  {track['name'].upper()} ", "artist": track["artists"][0].lower()}
    by_name = finished(connection, submit(connection, seeds=[seed])).result
    assert by_id
    assert by_name
    assert by_name.tracks == by_id.tracks
    assert by_name.seeds == by_id.seeds


@pytest.mark.usefixtures("a_worker")
def test_an_unknown_song_gives_popular_tracks_and_says_so(connection: redis.Redis) -> None:
    found = finished(connection, submit(connection, seeds=[{"name": "(((no such song***"}], limit=5))
    assert isinstance(found.result, Result)
    assert (found.result.strategy, found.result.degraded) == ("popular", True)
    assert [t.track_id for t in found.result.tracks] == [
        t.track_id for t in fallback.popular(connection, None, 5).tracks
    ]
    assert any("popular tracks, not similar ones" in warning for warning in found.result.warnings)


@pytest.mark.usefixtures("a_worker")
def test_the_answer_lies_under_our_key_alone_and_expires(connection: redis.Redis) -> None:
    job_id = submit(connection, seeds=[{"name": "nothing"}])
    finished(connection, job_id)
    key = keys.RESULT.format(job_id=job_id)
    packed = connection.get(key)
    assert isinstance(packed, bytes)
    assert codec.unpack(packed)["ok"]["strategy"] == "popular"
    assert 0 < connection.ttl(key) <= keys.RESULT_TTL_S
    assert 0 < connection.ttl(RQJob.key_for(job_id)) <= keys.RESULT_TTL_S
    stored = RQJob.fetch(job_id, connection=connection, serializer=codec.RQSerializer)
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


@pytest.mark.usefixtures("a_worker")
def test_a_misspelt_song_is_found_and_says_how_sure_it_is(connection: redis.Redis, demo_model: Model) -> None:
    row = next(r for r in range(len(demo_model)) if len(demo_model.name[r]) > 15 and demo_model.name[r].isascii())
    name, artist = demo_model.name[row], demo_model.artists_of(row)[0]
    found = finished(connection, submit(connection, seeds=[{"name": name[:5] + name[6:], "artist": artist}])).result
    assert isinstance(found, Result)
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


def test_a_poison_job_fails_and_its_neighbour_is_answered(
    redis_url: str, connection: redis.Redis, models_dir: Path, log: Path
) -> None:
    with slow_worker(redis_url, models_dir, log):
        poison = enqueue(connection, "tests.slow_worker.poison", timeout=1, retry=Retry(max=1))
        neighbour = submit(connection, seeds=[{"name": "x"}])
        assert finished(connection, neighbour, 40).status is Status.SUCCEEDED
        assert finished(connection, poison, 40).status is Status.FAILED
    assert log.read_text().count("ended (exit code 9); starting it again") == 2


def test_sigterm_finishes_the_job_in_hand(redis_url: str, connection: redis.Redis, models_dir: Path, log: Path) -> None:
    with slow_worker(redis_url, models_dir, log) as process:
        job_id = enqueue(connection, "tests.slow_worker.nap", 1)
        wait_for(lambda: results.get_job(connection, job_id).status is Status.RUNNING, "the job to run")
        later = submit(connection, seeds=[{"name": "x"}])
        assert stop(process) == 0
    assert results.get_job(connection, job_id).status is Status.SUCCEEDED
    assert results.get_job(connection, later).status is Status.QUEUED
    assert fallback.live_workers(connection) == 0


def test_the_service_runs_on_rqs_own_loop_too(
    redis_url: str, connection: redis.Redis, models_dir: Path, log: Path
) -> None:
    with worker(redis_url, models_dir, log, "--one-by-one"):
        jobs = [submit(connection, seeds=[{"name": f"song {n}"}], limit=3) for n in range(5)]
        assert {finished(connection, job_id).status for job_id in jobs} == {Status.SUCCEEDED}
        assert all(results.get_job(connection, job_id).result for job_id in jobs)


def test_a_worker_without_a_model_says_what_to_do(redis_url: str, tmp_path: Path, log: Path) -> None:
    with worker(redis_url, tmp_path / "none", log) as process:
        assert process.wait(20) == 1
    assert "python -m training --demo" in log.read_text()
    assert "Traceback" not in log.read_text()
