"""One try at a webhook: an HTTP POST to a checked address, within walls.

The name is looked up once, every address that it has is checked, and the connection is made to one of those; the
certificate has to be of the name. Redirects are not followed. Whatever the receiver does, a try is over after TRY_S,
and reads no more than a few kilobytes. asyncio, because there a limit on the time holds for all of it: the look-up, the
handshake, and an answer that comes a byte a second.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from producer import addresses, webhooks
from producer.addresses import Address, LookUp, Policy, Receiver
from producer.errors import UnsafeUrl

log = logging.getLogger("segue.webhooks")

TRY_S = 15.0
CONNECT_S = 5.0
KEPT_BYTES = 1024
"""Of an answer, for the log."""

_READ_BYTES = 4096
_HEAD_BYTES = 16_384
_INTERIM = 5
_BODY_S = 1.0
"""How long the rest of an answer is waited for: what it says counts for nothing but the log."""

_IDLE_S = 10.0
_IDLE_MOST = 128

_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_Place = tuple[str, str, int, str]


class _Failed(Exception):
    """A try came to nothing. The message is what its log shows: dns, connect, reset, and so on."""


class _Stale(_Failed):
    """A connection that was kept turned out to be closed, before anything of an answer came."""


@dataclass(frozen=True)
class Outcome:
    """What came of a try. status: None if there was no answer, and `error` says why; answer: its first KEPT_BYTES."""

    status: int | None
    error: str
    ms: float
    answer: bytes = b""
    retry_after_s: float | None = None


class Poster:
    """Posts. Connections are kept for a few seconds, so that a busy receiver is not greeted anew each time.

    proxy_url: an HTTP proxy to go through, by CONNECT to the checked address; "": straight.
    """

    def __init__(self, policy: Policy, proxy_url: str = "", find: LookUp = addresses.look_up) -> None:
        self._policy, self._proxy, self._find = policy, urlsplit(proxy_url) if proxy_url else None, find
        self._tls = ssl.create_default_context()
        self._tls.set_alpn_protocols(["http/1.1"])
        self._idle: dict[_Place, list[tuple[float, _Stream]]] = {}

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Post once. Whatever happens is an outcome."""
        began = time.monotonic()

        def ms() -> float:
            return (time.monotonic() - began) * 1000

        try:
            async with asyncio.timeout(TRY_S):
                status, found, answer = await self._exchange(url, headers, body)
        except UnsafeUrl as error:
            log.warning("not posted: %s", error.reason)
            return Outcome(None, error.code, ms())
        except _Failed as error:
            return Outcome(None, str(error), ms())
        except TimeoutError:
            return Outcome(None, "timeout", ms())
        except ssl.SSLError as error:
            return Outcome(None, "tls", ms(), str(error).encode()[:KEPT_BYTES])
        except (OSError, EOFError):
            return Outcome(None, "reset", ms())
        after_s = webhooks.retry_after_s(found.get("retry-after"))
        why = "" if 200 <= status < 300 else f"status {status}"
        return Outcome(status, why, ms(), answer[:KEPT_BYTES], after_s)

    def close(self) -> None:
        """Close the connections that were kept."""
        for kept in self._idle.values():
            for _, (_, writer) in kept:
                writer.transport.abort()
        self._idle.clear()

    async def _exchange(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        receiver = addresses.parse(url)
        found = [receiver.literal] if receiver.literal else await self._look_up(receiver)
        checked = addresses.checked(receiver, found, self._policy)
        lines = {
            "Host": receiver.host_header,
            "Content-Length": str(len(body)),
            "Accept-Encoding": "identity",
            **headers,
        }
        head = f"POST {receiver.target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        request = head.encode("ascii") + b"\r\n" + body
        if kept := self._kept(receiver, checked):
            with suppress(_Stale):
                return await self._talk(*kept, request, fresh=False)
        return await self._talk(*await self._connect(receiver, checked), request, fresh=True)

    async def _talk(
        self, place: _Place, stream: _Stream, request: bytes, *, fresh: bool
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request and read the answer; keep the connection if that is possible, or else close it."""
        reader, writer = stream
        reusable = False
        try:
            try:
                writer.write(request)
                await writer.drain()
                status, headers = await _read_head(reader)
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                if not fresh and not getattr(error, "partial", b""):
                    raise _Stale("reset") from error
                raise _Failed("reset") from error
            answer, reusable = await _read_body(reader, status, headers)
            return status, headers, answer
        finally:
            if reusable and sum(map(len, self._idle.values())) < _IDLE_MOST:
                self._idle.setdefault(place, []).append((time.monotonic(), stream))
            else:
                writer.transport.abort()

    def _kept(self, receiver: Receiver, checked: Sequence[Address]) -> tuple[_Place, _Stream] | None:
        """Return a connection to one of these addresses that was kept and is still good. Closes those that are not."""
        now = time.monotonic()
        for place in list(self._idle):
            good = [(at, s) for at, s in self._idle[place] if now - at < _IDLE_S and not s[0].at_eof()]
            for at_stream in self._idle[place]:
                if at_stream not in good:
                    at_stream[1][1].transport.abort()
            self._idle[place] = good
            if not good:
                del self._idle[place]
        for address in checked:
            place = (receiver.scheme, receiver.host, receiver.port, str(address))
            if kept := self._idle.get(place):
                return place, kept.pop()[1]
        return None

    async def _look_up(self, receiver: Receiver) -> Sequence[Address]:
        """Look a name up in a thread of its own: it may hang for long, and nothing can stop it but not waiting."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[Address]] = loop.create_future()

        def tell(found: Sequence[Address] | None) -> None:
            if answer.done():
                return
            if found:
                answer.set_result(found)
            else:
                answer.set_exception(_Failed("dns"))

        def ask() -> None:
            found: Sequence[Address] | None = None
            with suppress(OSError):
                found = self._find(receiver.host, receiver.port)
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(tell, found)

        threading.Thread(target=ask, name="look-up", daemon=True).start()
        try:
            async with asyncio.timeout(CONNECT_S):
                return await answer
        except TimeoutError:
            raise _Failed("dns") from None

    async def _connect(self, receiver: Receiver, checked: Sequence[Address]) -> tuple[_Place, _Stream]:
        """Connect to the first of these addresses that answers."""
        failure: _Failed | None = None
        try:
            async with asyncio.timeout(CONNECT_S):
                for address in checked[:4]:
                    try:
                        stream = await self._open(receiver, str(address))
                    except (ssl.SSLError, TimeoutError):
                        raise
                    except OSError as error:
                        failure = _Failed("reset" if isinstance(error, ConnectionResetError) else "connect")
                        continue
                    return (receiver.scheme, receiver.host, receiver.port, str(address)), stream
        except TimeoutError:
            raise _Failed("connect-timeout") from None
        raise failure or _Failed("connect")

    async def _open(self, receiver: Receiver, address: str) -> _Stream:
        context = self._tls if receiver.scheme == "https" else None
        name = receiver.host if context else None
        if self._proxy is None:
            limit_s = CONNECT_S if context else None
            return await asyncio.open_connection(
                address,
                receiver.port,
                limit=_HEAD_BYTES,
                ssl=context,
                server_hostname=name,
                ssl_handshake_timeout=limit_s,
            )
        try:
            reader, writer = await asyncio.open_connection(
                self._proxy.hostname, self._proxy.port or 3128, limit=_HEAD_BYTES
            )
        except OSError as error:
            raise _Failed("proxy") from error
        try:
            target = f"[{address}]:{receiver.port}" if ":" in address else f"{address}:{receiver.port}"
            lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
            if self._proxy.username is not None:
                user = f"{unquote(self._proxy.username)}:{unquote(self._proxy.password or '')}"
                lines.append(f"Proxy-Authorization: Basic {base64.b64encode(user.encode()).decode()}")
            writer.write("\r\n".join([*lines, "", ""]).encode())
            try:
                status, _ = await _read_head(reader)
            except (OSError, EOFError) as error:
                raise _Failed("proxy") from error
            if status != 200:
                raise _Failed("proxy")
            if context:
                await writer.start_tls(context, server_hostname=name)
        except BaseException:
            writer.transport.abort()
            raise
        return reader, writer


async def _read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """Read status and headers; interim answers (1xx) are passed over. Raises: IncompleteReadError, _Failed."""
    for _ in range(_INTERIM + 1):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.LimitOverrunError:
            raise _Failed("bad-answer") from None
        lines = head.split("\r\n")
        found = re.match(r"HTTP/1\.[01] ([0-9]{3})(?: |$)", lines[0])
        if not found:
            raise _Failed("bad-answer")
        if found[1][0] != "1":
            pairs = (line.partition(":") for line in lines[1:] if line)
            return int(found[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}
    raise _Failed("bad-answer")


async def _read_body(reader: asyncio.StreamReader, status: int, headers: Mapping[str, str]) -> tuple[bytes, bool]:
    """Read the beginning of a body, as far as it comes soon. → it, and whether the connection can be used again."""
    chunked = "transfer-encoding" in headers
    length = headers.get("content-length", "")
    known = 0 if status in (204, 304) else int(length) if re.fullmatch("[0-9]{1,15}", length) and not chunked else None
    read = bytearray()
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(_BODY_S):
            wanted = _READ_BYTES if known is None else min(known, _READ_BYTES)
            while len(read) < wanted and (part := await reader.read(wanted - len(read))):
                read += part
                if chunked and read.endswith(b"0\r\n\r\n"):
                    break
    reusable = known == len(read) and headers.get("connection", "").lower() != "close"
    return _unchunked(bytes(read)) if chunked else bytes(read), reusable


def _unchunked(raw: bytes) -> bytes:
    """Return the text of a chunked body (RFC 9112 §7.1), as far as it was read and can be."""
    body = b""
    while found := re.match(rb"([0-9a-fA-F]{1,8})[^\r\n]*\r\n", raw):
        size = int(found[1], 16)
        body += raw[found.end() : found.end() + size]
        raw = raw[found.end() + size + 2 :]
    return body


def is_healthy(outcome: Outcome) -> bool:
    """Whether the host is well, whatever it thinks of this webhook: it answers, and not that it is in trouble."""
    return outcome.status is not None and outcome.status < 500 and outcome.status != 429
