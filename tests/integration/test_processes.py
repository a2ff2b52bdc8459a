"""A parent and its worker processes: deaths, hangs, hunger for memory, and models that change while requests flow."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from subprocess import Popen
from typing import Any

import psutil
import pytest
import redis
from rq.job import Job as RQJob

import redis_server
from artifacts import store
from artifacts.model import Model
from producer import codec, fallback, keys, results
from producer.jobs import Status
from producer.schema import Query, Result
from tests.jobs import enqueue, finished, submit
from tests.services import answering, is_gone, stop, wait_for, worker
from training.__main__ import main as train
from worker.pipeline import recommend

SOUND = {"seeds": [{"features": {"energy": 0.8, "valence": 0.6, "tempo": 120}}], "limit": 20}
"""A request that every catalogue can answer, each in its own way."""

Start = Callable[..., Popen[bytes]]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "worker.log"


@pytest.fixture
def start(redis_url: str, connection: redis.Redis, models_dir: Path, log: Path) -> Iterator[Start]:
    """Starts workers and waits until all are alive; at the end they have to leave, and in good order."""
    running: list[Any] = []

    def run(*options: str, root: Path = models_dir, processes: int = 2, **settings: str) -> Popen[bytes]:
        chosen = ("--processes", str(processes), *options)
        running.append(worker(redis_url, root, log, *chosen, module="tests.slow_worker", **settings))
        process: Popen[bytes] = running[-1].__enter__()
        wait_for(lambda: fallback.live_workers(connection) == processes, f"{processes} workers; see {log}")
        return process

    yield run
    for one in running:
        one.__exit__(None, None, None)


def one_of(connection: redis.Redis) -> int:
    """Return the process id of a worker that answers."""
    key = keys.RESULT.format(job_id=enqueue(connection, "tests.slow_worker.who"))
    packed = wait_for(lambda: connection.get(key), "a worker to say who it is")
    assert isinstance(packed, bytes)
    return int(codec.unpack(packed)["ok"]["process"])


def gone(processes: list[psutil.Process]) -> bool:
    return all(is_gone(process) for process in processes)


def is_running(connection: redis.Redis, job_id: str) -> bool:
    return results.get_job(connection, job_id).status is Status.RUNNING


def all_answer(connection: redis.Redis, parent: Popen[bytes]) -> bool:
    pids = {process.pid for process in answering(parent)}
    return len(pids) == 2 and {one_of(connection) for _ in range(6)} == pids


def test_two_processes_answer_from_one_loaded_model(start: Start, connection: redis.Redis, log: Path) -> None:
    parent = start(OMP_NUM_THREADS="4")
    wait_for(partial(all_answer, connection, parent), "answers of both")
    assert log.read_text().count("tracks") == 1
    for process in answering(parent):
        # So much that a worker may have of its own, by the design; loaded by itself it has five times as much as here.
        assert process.memory_full_info().uss < 80 * 2**20
    assert psutil.Process(parent.pid).num_threads() == 1
    assert psutil.Process(parent.pid).net_connections() == []


def test_a_process_that_is_killed_is_started_again(start: Start, connection: redis.Redis, log: Path) -> None:
    parent = start()
    before = answering(parent)
    before[0].kill()
    wait_for(lambda: len(answering(parent)) == 2, "another process")
    wait_for(partial(all_answer, connection, parent), "answers of both")
    assert before[1] in answering(parent)
    assert f"(process {before[0].pid}) ended (SIGKILL); starting it again in 0.5 s" in log.read_text()


@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere a process notices between two batches, if it does not hang"
)
def test_nothing_outlives_a_parent_that_is_killed_not_even_what_hangs(start: Start, connection: redis.Redis) -> None:
    parent = start()
    job_id = enqueue(connection, "tests.slow_worker.hang", timeout=60)
    wait_for(partial(is_running, connection, job_id), "the job to run")
    children = answering(parent)
    assert len(children) == 2
    stop(parent, signal.SIGKILL)
    wait_for(partial(gone, children), "the end of both")


def test_sigterm_leaves_nothing(start: Start, connection: redis.Redis, log: Path) -> None:
    parent = start()
    children = answering(parent)
    assert stop(parent) == 0
    assert gone(children)
    assert fallback.live_workers(connection) == 0
    assert log.read_text().count("has left (exit code 0)") == 2


def test_a_redis_that_is_not_there_is_waited_for(models_dir: Path, log: Path) -> None:
    with worker(f"redis://127.0.0.1:{redis_server.free_port()}/0", models_dir, log) as parent:
        wait_for(lambda: "Redis does not answer" in log.read_text(), "a word about it")
        assert len(answering(parent)) == 1
        assert stop(parent) == 0
    assert "starting it again" not in log.read_text()
    assert "Traceback" not in log.read_text()


def test_what_hangs_in_c_code_is_killed_and_service_goes_on(start: Start, connection: redis.Redis, log: Path) -> None:
    start(processes=1)
    hanging = enqueue(connection, "tests.slow_worker.hang", timeout=1, retry=None)
    neighbour = submit(connection, **SOUND)
    assert finished(connection, neighbour).status is Status.SUCCEEDED
    assert finished(connection, hanging).status is Status.FAILED
    assert log.read_text().count("hangs, its time was over") == 1


def test_what_hangs_does_not_keep_the_parent_from_leaving(start: Start, connection: redis.Redis, log: Path) -> None:
    parent = start(processes=1)
    job_id = enqueue(connection, "tests.slow_worker.hang", timeout=1)
    wait_for(partial(is_running, connection, job_id), "the job to run")
    assert stop(parent) == 0
    assert "hangs, its time was over" in log.read_text()


def test_a_job_that_wants_too_much_memory_fails_alone(start: Start, connection: redis.Redis) -> None:
    start(processes=1, WORKER_MEMORY_MB="300")
    before = one_of(connection)
    greedy = enqueue(connection, "tests.slow_worker.hog", 1000, retry=None)
    neighbour = submit(connection, **SOUND)
    assert finished(connection, neighbour).status is Status.SUCCEEDED
    assert finished(connection, greedy).status is Status.FAILED
    stored = RQJob.fetch(greedy, connection=connection, serializer=codec.RQSerializer).latest_result()
    assert stored
    assert "MemoryError" in (stored.exc_string or "")
    assert one_of(connection) == before


# Models that change


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a version of another catalogue."""
    root = tmp_path_factory.mktemp("another")
    assert train(["--demo", "2000", "--artifacts", str(root)]) == 0
    return root / str(store.current(root))


@pytest.fixture
def root(models_dir: Path, tmp_path: Path) -> Path:
    """A folder of models for this test alone."""
    return Path(shutil.copytree(models_dir, tmp_path / "models"))


def tracks_of(root: Path, version: str) -> list[str]:
    """Return what SOUND gives from a version."""
    return [track.track_id for track in recommend(Model.load(root, version), Query.model_validate(SOUND)).tracks]


def ask(connection: redis.Redis) -> list[Result]:
    """Ask for SOUND some times at once. → the answers; each has to be one."""
    jobs = [finished(connection, job_id) for job_id in [submit(connection, **SOUND) for _ in range(8)]]
    answers = [job.result for job in jobs if isinstance(job.result, Result)]
    assert [job.status for job in jobs] == [Status.SUCCEEDED] * 8
    assert len(answers) == 8
    return answers


def go_over_to(version: str, connection: redis.Redis, root: Path, expected: dict[str, list[str]], log: Path) -> None:
    """Move CURRENT while requests flow, until all answers and lists are of the new version; each must be sound."""
    before = log.read_text().count(f"answering from model {version}")
    store.promote(root, version)
    moved = time.monotonic()
    while log.read_text().count(f"answering from model {version}") < before + 2:
        for answer in ask(connection):
            assert [track.track_id for track in answer.tracks] == expected[answer.model]
        # A second for the look at CURRENT, and loading; the rest is for a machine that is busy with other things.
        assert time.monotonic() < moved + 15, f"see {log}"
    assert {answer.model for answer in ask(connection)} == {version}
    assert fallback.model_info(connection).version == version
    popular = fallback.popular(connection, None, 20)
    published = store.read_public(root, version, "popular")[""][:20]
    assert popular.model == version
    assert [track.track_id for track in popular.tracks] == [track["track_id"] for track in published]


def test_a_new_model_is_answered_from_and_the_old_one_again(
    start: Start, connection: redis.Redis, root: Path, another: Path, log: Path
) -> None:
    old, new = str(store.current(root)), another.name
    parent = start(root=root)
    before = answering(parent)
    shutil.copytree(another, root / new)
    expected = {version: tracks_of(root, version) for version in (old, new)}
    assert expected[old] != expected[new]
    assert {answer.model for answer in ask(connection)} == {old}
    go_over_to(new, connection, root, expected, log)
    before[0].kill()
    wait_for(partial(all_answer, connection, parent), "another process")
    assert {answer.model for answer in ask(connection)} == {new}
    go_over_to(old, connection, root, expected, log)
    assert before[1] in answering(parent)


def test_a_damaged_model_is_refused_and_the_one_in_service_needs_no_files(
    start: Start, connection: redis.Redis, root: Path, another: Path, log: Path
) -> None:
    old, new = str(store.current(root)), another.name
    parent = start(root=root)
    shutil.copytree(another, root / new)
    array = root / new / "score.npy"
    array.write_bytes(array.read_bytes()[:-1] + b"?")
    expected = {old: tracks_of(root, old)}
    store.promote(root, new)
    shutil.rmtree(root / old)  # as later versions do it at some time
    wait_for(lambda: "damaged" in log.read_text(), "the new one to be refused")
    answering(parent)[0].kill()
    wait_for(partial(all_answer, connection, parent), "another process")
    for answer in ask(connection):
        assert (answer.model, [track.track_id for track in answer.tracks]) == (old, expected[old])
    assert fallback.model_info(connection).version == old
    assert log.read_text().count("refused") == 1
    shutil.copy2(another / "score.npy", array)
    store.promote(root, new)  # CURRENT says the same as before: nothing to look at again
    (root / store.CURRENT).write_text("nonsense")
    wait_for(lambda: log.read_text().count("refused") == 2, "nonsense to be refused")
    go_over_to(new, connection, root, expected | {new: tracks_of(root, new)}, log)
