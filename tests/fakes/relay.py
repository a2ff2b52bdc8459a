"""A wire between a client and a server that can be cut, muted and mended."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_PIECE = 65_536


class Relay:
    """Passes on what comes to `address`. As a wire it is cut, muted or mended while connections are open."""

    def __init__(self, to_port: int) -> None:
        self.address = ""
        self.requests: list[str] = []
        """The first lines of requests that came, such as "GET /livez HTTP/1.1"."""
        self._to_port = to_port
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        self._flowing = asyncio.Event()

    def cut(self) -> None:
        """Break all connections, and each new one."""
        self._call(self._cut)

    def mute(self) -> None:
        """Pass nothing on, and say nothing of it."""
        self._call(self._flowing.clear)

    def mend(self) -> None:
        """Be whole again."""
        self._call(self._mend)

    def _call(self, what: object) -> None:
        asyncio.run_coroutine_threadsafe(self._do(what), self._loop).result(10)

    async def _do(self, what: object) -> None:
        assert callable(what)
        what()

    def _cut(self) -> None:
        self._is_cut = True
        for writer in self._open:
            writer.transport.abort()

    def _mend(self) -> None:
        self._is_cut = False
        self._flowing.set()

    async def _serve(self, started: threading.Event) -> None:
        self._flowing.set()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        started.set()
        with suppress(asyncio.CancelledError):
            await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            back, out = await asyncio.open_connection("127.0.0.1", self._to_port)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, out}
        try:
            await asyncio.gather(self._pass(reader, out, True), self._pass(back, writer, False))
        finally:
            self._open -= {writer, out}
            writer.transport.abort()
            out.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_request: bool) -> None:
        with suppress(OSError):
            while piece := await reader.read(_PIECE):
                if is_request and b" HTTP/1.1\r\n" in piece:
                    self.requests.append(piece.split(b"\r\n", 1)[0].decode())
                await self._flowing.wait()
                writer.write(piece)
                await writer.drain()
            writer.close()

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._task = self._loop.create_task(self._serve(started))
        self._loop.run_until_complete(self._task)
        for left in asyncio.all_tasks(self._loop):
            left.cancel()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())

    @contextmanager
    def running(self) -> Iterator[Relay]:
        started = threading.Event()
        thread = threading.Thread(target=self._run, args=(started,), name="relay")
        thread.start()
        assert started.wait(10)
        try:
            yield self
        finally:
            self.cut()
            self._loop.call_soon_threadsafe(self._task.cancel)
            thread.join(10)
            self._loop.close()
