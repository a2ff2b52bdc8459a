"""Real processes for tests: started on loopback, waited for with a deadline, stopped by their own id."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any, TypeVar

import psutil
from redis import Redis

import redis_server
import settings
from producer import keys

T = TypeVar("T")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
"""Real tracks for trying, beside the project; tests that need them skip where they are missing."""


def wait_for(look: Callable[[], T | None], what: str, deadline_s: float = 30.0) -> T:
    """Call `look` until it returns something true. Raises: AssertionError naming `what` after `deadline_s`."""
    deadline = time.monotonic() + deadline_s
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {deadline_s:.0f} s in vain for {what}")
        time.sleep(0.02)


@contextmanager
def running(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None, cwd: Path = settings.ROOT
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command, what it says going to `log`; at the end stop it, and see that it has gone."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=settings.child_environment(**(environment or {})),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM, deadline_s: float = 20.0) -> int:
    """Signal a process and wait for its end; kill it if it stays. → its exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.send_signal(how)
    try:
        return process.wait(deadline_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def worker(
    redis_url: str, models_dir: Path, log: Path, *options: str, module: str = "worker", **environment: str
) -> Any:
    """Run workers: `with worker(...) as process`, which is the parent of those that answer.

    options: as on the command line. module: what stands in for `worker`, such as tests.slow_worker.
    """
    environment |= {"REDIS_URL": redis_url, "ARTIFACTS_DIR": str(models_dir)}
    kind = ["recommend"] if module == "worker" else []
    return running([sys.executable, "-m", module, *kind, *options], log, environment)


def answering(parent: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the processes that answer, of the parent that `worker` started; none once it is gone."""
    try:
        children = psutil.Process(parent.pid).children()
    except psutil.NoSuchProcess:
        return []
    return [child for child in children if not is_gone(child)]


def is_gone(process: psutil.Process) -> bool:
    """Whether a process has ended, though nobody may have asked yet how."""
    try:
        return not process.is_running() or bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@contextmanager
def api(redis_url: str, port: int, log: Path, **environment: str) -> Iterator[Client]:
    """Run the API; yields once it answers. Unless it is told ARTIFACTS_DIR, it has no model's files."""
    environment = {"ARTIFACTS_DIR": str(log.with_name("no-models"))} | environment
    environment |= {"REDIS_URL": redis_url, "PORT": str(port), "HOST": "127.0.0.1"}
    with running([sys.executable, "-m", "api", "serve"], log, environment):
        client = Client(f"http://127.0.0.1:{port}")
        wait_for(client.is_up, f"the API; see {log}")
        yield client


@dataclass(frozen=True)
class Service:
    """A running service with a Redis of its own. folder: of its logs."""

    redis: redis_server.RedisServer
    client: Client
    models_dir: Path
    folder: Path

    @contextmanager
    def connection(self) -> Iterator[Redis]:
        """A client of its Redis."""
        with Redis.from_url(self.redis.url) as connection:
            yield connection

    def worker(self, **environment: str) -> Any:
        """Run a worker for it: `with service.worker() as process`."""
        return worker(self.redis.url, self.models_dir, self.folder / "worker.log", **environment)

    def is_ready(self) -> bool:
        """Whether a worker is alive."""
        return self.client.get("/readyz").status == 200

    def told(self) -> dict[str, Any]:
        """Run a worker for a moment. → what it has said of its model in Redis, for `tell`."""
        with self.connection() as connection, self.worker():
            wait_for(self.is_ready, "a worker")
            return {key: connection.dump(key) for key in (keys.MODEL, keys.GENRES, keys.POPULAR)}

    def tell(self, told: dict[str, Any]) -> None:
        """Leave nothing in Redis but that."""
        with self.connection() as connection:
            connection.flushall()
            for key, value in told.items():
                connection.restore(key, 0, value)


@contextmanager
def service(folder: Path, models_dir: Path, **environment: str) -> Iterator[Service]:
    """Run Redis and the API, which has the model's files; workers are the test's to start."""
    server = redis_server.start(folder / "redis")
    try:
        files = {"ARTIFACTS_DIR": str(models_dir)} | environment
        with api(server.url, redis_server.free_port(), folder / "api.log", **files) as client:
            yield Service(server, client, models_dir, folder)
    finally:
        server.process.send_signal(signal.SIGCONT)
        server.stop()


@dataclass(frozen=True)
class Answer:
    """What came back over HTTP."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Client:
    """A client as simple as can be: every status is an answer."""

    address: str

    def is_up(self) -> bool:
        """Whether anybody answers."""
        try:
            return self.get("/livez").status == 200
        except OSError:
            return False

    def get(self, path: str, **headers: str) -> Answer:
        """GET a path. headers: with underscores for hyphens."""
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        """POST a body: bytes as they are, all else as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", path, data, headers={"Content_Type": "application/json"} | headers)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30,
    ) -> Answer:
        """Send a request."""
        named = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        request = urllib.request.Request(self.address + path, body, named, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())

    def recommend(self, deadline_s: float = 30.0, **query: Any) -> dict[str, Any]:
        """Submit a query and poll until its job is over. → the job."""
        submitted = self.post("/v1/recommendations", query)
        assert submitted.status == 202, submitted.body
        return self.finished(submitted.json["id"], deadline_s)

    def finished(self, job_id: str, deadline_s: float = 30.0) -> dict[str, Any]:
        """Poll a job until it is over. → the job."""

        def look() -> dict[str, Any] | None:
            job: dict[str, Any] = self.get(f"/v1/jobs/{job_id}").json
            return job if job.get("status") in ("succeeded", "failed", "canceled") else None

        return wait_for(look, f"job {job_id}", deadline_s)
