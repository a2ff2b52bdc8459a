"""HTTP to the world outside, within walls: a deadline, a size, no redirects, no retries, nothing from the environment.

OutsideError
├── TooSlow       the deadline passed
├── Unreachable   no connection, or it broke
├── Rubbish       an answer that nobody can use: not JSON, of another shape, compressed unasked, too large
└── Refused       an answer with a status other than 2xx

`requests` bounds each single read, not all of them: a server that sends a byte a second holds its caller for ever,
within the headers as within the body. Here every read from the socket is given what is left until the deadline.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from producer import keys

MAX_BYTES = 1_000_000
"""Of an answer, headers included. Ten tracks of Spotify's have some 30 kB."""

_POOLED = 4
_SHOWN_BYTES = 4096


class OutsideError(Exception):
    """Root of what the world outside does to a look-up."""


class TooSlow(OutsideError):
    """The deadline passed."""


class Unreachable(OutsideError):
    """There is no connection, or it broke."""


class Rubbish(OutsideError):
    """The answer is of no use."""


class Refused(OutsideError):
    """The answer has a status other than 2xx. body: its beginning, as text; retry_after_s: 1 to a day."""

    def __init__(self, status: int, body: str, retry_after_s: float) -> None:
        super().__init__(f"status {status}")
        self.status, self.body, self.retry_after_s = status, body, retry_after_s


class _WalledReader(io.RawIOBase):
    """Reads from a socket until a deadline (`time.monotonic`) and no more than MAX_BYTES."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._socket, self._raw, self._left = sock, raw, MAX_BYTES
        # urllib3 has just set the socket's time-out to what is left of the request's total.
        self._deadline = time.monotonic() + (sock.gettimeout() or 0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Fill `buffer` with what is there. Raises: TooSlow, Rubbish."""
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TooSlow("the answer drips")
        self._socket.settimeout(left_s)
        try:
            read: int = self._raw.readinto(buffer)
        except TimeoutError as error:
            raise TooSlow("the answer drips") from error
        self._left -= read
        if self._left < 0:
            raise Rubbish(f"rubbish answer: over {MAX_BYTES} bytes")
        return read

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(_WalledReader(sock, self.fp.detach()))


class _Connection(HTTPConnection):
    response_class = _Response


class _TlsConnection(HTTPSConnection):
    response_class = _Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    def __init__(self) -> None:
        super().__init__(pool_connections=_POOLED, pool_maxsize=_POOLED, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


class Session(requests.Session):
    """A session whose every request ends at the deadline that `until` set in the same thread, read to its end.

    Safe to share between threads. What does not have a status of 2xx is an exception here, not an answer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False  # no ~/.netrc, which would replace our Authorization, and no settings but ours
        self.headers.update({"User-Agent": "segue", "Accept-Encoding": "identity"})
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter())
        self._here = threading.local()

    @contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        """Have this thread's requests end at `deadline` (`time.monotonic`)."""
        self._here.deadline = deadline
        try:
            yield
        finally:
            del self._here.deadline

    def left_s(self) -> float:
        """Return the seconds that this thread's requests have left. Raises: TooSlow if none."""
        left_s: float = self._here.deadline - time.monotonic()
        if left_s <= 0:
            raise TooSlow("no time left")
        return left_s

    def request(self, method: str, url: Any, *args: Any, **options: Any) -> requests.Response:
        """Send a request and read its answer to the end. Raises: OutsideError."""
        options |= {"timeout": urllib3.Timeout(total=self.left_s()), "stream": True, "allow_redirects": False}
        try:
            with super().request(method, url, *args, **options) as response:
                if response.headers.get("Content-Encoding", "identity") != "identity":
                    raise Rubbish("rubbish answer: compressed, unasked")
                body = response.content
        except requests.Timeout as error:
            raise TooSlow("no answer") from error
        except requests.RequestException as error:
            raise Unreachable(f"no connection to {urlsplit(str(url)).hostname} ({type(error).__name__})") from error
        if not 200 <= response.status_code < 300:
            said = body[:_SHOWN_BYTES].decode("utf-8", "replace")
            raise Refused(response.status_code, said, _seconds(response.headers.get("Retry-After")))
        return response


def read_json(response: requests.Response) -> Any:
    """Return what an answer says. Raises: Rubbish if it is no JSON, or nested too deep."""
    try:
        return response.json()
    except (ValueError, RecursionError) as error:
        raise Rubbish("rubbish answer: no JSON") from error


def _seconds(retry_after: str | None) -> float:
    """Return the seconds that a Retry-After asks for: a number or a date (RFC 9110 §10.2.3), 1 s to a day."""
    seconds = float(keys.RETRY_AFTER_S)
    if retry_after and re.fullmatch(r"\d{1,9}", retry_after.strip(), re.ASCII):
        seconds = float(retry_after)
    elif retry_after:
        try:
            when = parsedate_to_datetime(retry_after)
        except (TypeError, ValueError, OverflowError):
            return seconds
        seconds = (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 1.0), float(keys.RETRY_AFTER_MOST_S))
