"""Requests as the Flask app takes them (WSGI, PEP 3333), made of what the HTTP server has, and its answers."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

JOB = "segue.job"
"""In the environ, when the app is asked again: the job that this very request is about, submitted already."""

REFUSED = "segue.refused"
"""In the environ: the code and detail of a problem that the app is to answer with, unasked."""

Headers = list[tuple[str, str]]


@dataclass
class Answer:
    """What the app answered. body: whole, or in parts that are yet to be made."""

    status: int
    headers: Headers
    body: bytes | Iterator[bytes]

    def take(self, name: str) -> str | None:
        """Remove a header and return its value."""
        found = [value for n, value in self.headers if n == name]
        self.headers = [(n, value) for n, value in self.headers if n != name]
        return found[0] if found else None


def run(app: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> Answer:
    """Call the WSGI app."""
    answer = Answer(500, [], b"")

    def start(status: str, headers: Headers, _exc_info: Any = None) -> None:
        answer.status, answer.headers = int(status[:3]), headers

    parts = app(environ, start)
    whole = any(name.lower() == "content-length" for name, _ in answer.headers)
    if whole or answer.status in (204, 304) or environ["REQUEST_METHOD"] == "HEAD":
        answer.body = b"".join(parts)
        if close := getattr(parts, "close", None):
            close()
    else:
        answer.body = iter(parts)
    return answer


def environ_of(scope: Any, body: bytes) -> dict[str, Any]:
    """Return a request as WSGI (PEP 3333) has it."""
    server, _, port = scope.server.rpartition(":")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_NAME": server,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": scope.client.rpartition(":")[0],
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    if unread := {name for name in scope.headers.keys() if scope.headers.get(name) is None}:  # noqa: SIM118
        environ[REFUSED] = ("bad-request", f"header {min(unread)}: visible ASCII characters only")
    for name, value in scope.headers.items():
        if name == "content-type":
            environ["CONTENT_TYPE"] = value
        elif name not in ("content-length", "transfer-encoding") and "_" not in name:
            key = "HTTP_" + name.upper().replace("-", "_")
            environ[key] = f"{environ[key]},{value}" if key in environ else value
    if scope.authority and "HTTP_HOST" not in environ:
        environ["HTTP_HOST"] = scope.authority
    return environ


def get_of(environ: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the same caller's GET of `path`."""
    headers = {key: value for key, value in environ.items() if key != "HTTP_IF_NONE_MATCH"}
    return headers | {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": ""}
