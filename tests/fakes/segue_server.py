"""A local HTTP server that answers the client as Segue does, or as what can go wrong between the two, by a script."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from time import monotonic
from typing import Any

from tests.fakes.running import on_a_free_port, run


@dataclass(frozen=True)
class Asked:
    """A request as it arrived. at: on the clock of `monotonic`."""

    line: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What is sent. lost: nothing, the connection is closed; cut: only so many bytes of the body before that.

    held_s: how long it is held back.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    lost: bool = False
    cut: int | None = None
    held_s: float = 0.0


def says(value: Any, status: int = 200, **headers: str) -> Reply:
    """Reply with JSON; underscores in the names of headers stand for hyphens."""
    return Reply(status, json.dumps(value).encode(), {k.replace("_", "-"): v for k, v in headers.items()})


def problem(status: int, code: str, headers: Mapping[str, str] | None = None, **more: Any) -> Reply:
    """Reply with problem JSON."""
    body = {"type": f"urn:segue:error:{code}", "title": "T", "status": status, "detail": "so it is", "code": code}
    said = {"Content-Type": "application/problem+json", "X-Request-Id": "r-1", **(headers or {})}
    return Reply(status, json.dumps(body | more).encode(), said)


def job(status: str = "succeeded", job_id: str = "j1", **fields: Any) -> dict[str, Any]:
    """Return a job as the service shows it."""
    shown: dict[str, Any] = {"id": job_id, "type": "recommendation", "status": status, "result": None, "error": None}
    if status == "succeeded":
        shown["result"] = result()
    if status == "failed":
        shown["error"] = {"code": "job-failed", "detail": "three times in vain", "pointer": ""}
    return shown | fields


def result(*names: str) -> dict[str, Any]:
    """Return a result with tracks of those names."""
    return {"strategy": "catalogue", "degraded": False, "tracks": [{"name": name} for name in names]}


def playlist(*names: str) -> dict[str, Any]:
    """Return a playlist with tracks of those names."""
    return result(*names) | {"flow": 0.9, "duration_ms": None}


def batch(status: str = "succeeded", **counts: int) -> dict[str, Any]:
    """Return a batch."""
    return {"id": "b1", "type": "batch", "status": status, "counts": counts}


def lines(numbers: range, complete: bool, cut: int | None = None, name: str = "A song") -> Reply:
    """Reply with the results of the items of those numbers. cut: break off after so many bytes."""
    body = "".join(
        json.dumps(
            {"index": n, "custom_id": f"c{n}", "status": "succeeded", "result": result(name)}, ensure_ascii=False
        )
        + "\n"
        for n in numbers
    )
    headers = {"Content-Type": "application/jsonl", "Segue-Complete": str(complete).lower()}
    return Reply(200, body.encode(), headers, cut=cut)


class FakeSegue:
    """The server. Set a script: replies, used in turn, the last one for ever; look into `asked`."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.asked: list[Asked] = []
        self.closing = threading.Event()
        self._script: list[Reply | Callable[[Asked], Reply]] = []
        self._lock = threading.Lock()

    def will(self, *script: Reply | Callable[[Asked], Reply]) -> None:
        """Answer so from now on."""
        self._script = list(script)

    @property
    def lines(self) -> list[str]:
        """Return what was asked: method and path of each request."""
        return [asked.line for asked in self.asked]

    @property
    def gaps(self) -> list[float]:
        """Return how many seconds lay between one request and the next."""
        return [b.at - a.at for a, b in zip(self.asked, self.asked[1:], strict=False)]

    def reply(self, asked: Asked) -> Reply:
        """Answer by the script."""
        with self._lock:
            self.asked.append(asked)
            reply = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        return reply if isinstance(reply, Reply) else reply(asked)


@contextmanager
def serving() -> Iterator[FakeSegue]:
    """Run a server on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name.title(): value for name, value in self.headers.items()}
            reply = fake.reply(Asked(f"{self.command} {self.path}", headers, body, monotonic()))
            fake.closing.wait(reply.held_s)
            self.close_connection = reply.lost or reply.cut is not None
            if reply.lost:
                return
            headers = {"Content-Type": "application/json", "Content-Length": str(len(reply.body)), **reply.headers}
            head = [f"HTTP/1.1 {reply.status} Said", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
            self.wfile.write("\r\n".join(head).encode() + reply.body[: reply.cut])

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_PATCH(self) -> None:
            self._answer()

        def do_DELETE(self) -> None:
            self._answer()

        def log_message(self, *_: Any) -> None:
            pass

    server, address = on_a_free_port(Handler)
    fake = FakeSegue(address)
    with run(server, fake.closing):
        yield fake
