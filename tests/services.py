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

import settings

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


def worker(redis_url: str, models_dir: Path, log: Path) -> Any:
    """Run a worker: `with worker(...) as process`."""
    environment = {"REDIS_URL": redis_url, "ARTIFACTS_DIR": str(models_dir)}
    return running([sys.executable, "-m", "worker", "recommend"], log, environment)


@contextmanager
def api(redis_url: str, port: int, log: Path, **environment: str) -> Iterator[Client]:
    """Run the API; yields once it answers."""
    environment |= {"REDIS_URL": redis_url, "PORT": str(port), "HOST": "127.0.0.1"}
    with running([sys.executable, "-m", "api", "serve"], log, environment):
        client = Client(f"http://127.0.0.1:{port}")
        wait_for(client.is_up, f"the API; see {log}")
        yield client


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

    def get(self, path: str) -> Answer:
        """GET a path."""
        return self._ask(urllib.request.Request(self.address + path))

    def post(self, path: str, body: Any) -> Answer:
        """POST a body: bytes as they are, all else as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._ask(urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"}))

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

    def _ask(self, request: urllib.request.Request) -> Answer:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())
