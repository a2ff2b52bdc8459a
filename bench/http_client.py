"""An HTTP client that costs next to nothing, so that a benchmark measures the server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Reply:
    """What came back. seconds: from when the request was due, in an open loop, to its last byte."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float = 0.0

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


class Connection:
    """A kept-alive connection to a server on this machine."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, method: str, path: str, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()) -> Reply:
        """Send a request and read its answer. Raises: OSError, asyncio.IncompleteReadError."""
        if self._writer is None or self._reader is None or self._writer.is_closing():
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**26)
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
        lines += ["Content-Type: application/json"] if body else []
        lines += [f"{name}: {value}" for name, value in headers]
        self._writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        head = await self._reader.readuntil(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        found = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest if line)}
        if found.get("transfer-encoding") == "chunked":
            answer = await self._chunks(self._reader)
        else:
            answer = await self._reader.readexactly(int(found.get("content-length", 0)))
        return Reply(int(first.split()[1]), found, answer)

    async def _chunks(self, reader: asyncio.StreamReader) -> bytes:
        parts = []
        while size := int(await reader.readuntil(b"\r\n"), 16):
            parts.append(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readexactly(2)
        return b"".join(parts)

    def close(self) -> None:
        """Let go."""
        if self._writer is not None:
            self._writer.close()


@dataclass
class Pool:
    """As many connections as are needed at once."""

    port: int
    free: list[Connection] = field(default_factory=list)

    async def ask(self, *request: Any) -> Reply:
        """Ask on a free connection."""
        connection = self.free.pop() if self.free else Connection(self.port)
        reply = await connection.ask(*request)
        self.free.append(connection)
        return reply


async def open_loop(pool: Pool, per_s: float, seconds: float, make: Callable[[int], tuple[Any, ...]]) -> list[Reply]:
    """Send requests on time, whether the earlier ones were answered or not. → the replies, in order.

    make: the n-th request, as `Connection.ask` takes it. A request that is sent late counts as waiting.
    """
    begin = time.perf_counter() + 0.1

    async def one(n: int) -> Reply:
        due = begin + n / per_s
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        reply = await pool.ask(*make(n))
        reply.seconds = time.perf_counter() - due
        return reply

    return await asyncio.gather(*(one(n) for n in range(int(per_s * seconds))))


async def closed_loop(port: int, callers: int, seconds: float, make: Callable[[int], tuple[Any, ...]]) -> float:
    """Let so many callers ask one after the other. → answers a second. Raises: AssertionError if one is no success."""
    end = time.perf_counter() + seconds
    counts = [0] * callers

    async def caller(i: int) -> None:
        connection = Connection(port)
        while time.perf_counter() < end:
            reply = await connection.ask(*make(counts[i] * callers + i))
            assert reply.status < 300, reply.body
            counts[i] += 1
        connection.close()

    await asyncio.gather(*(caller(i) for i in range(callers)))
    return sum(counts) / seconds
