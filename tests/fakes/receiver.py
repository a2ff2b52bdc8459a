"""A local receiver of webhooks, well or badly behaved, as told; with or without TLS."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.fakes.running import run


@dataclass(frozen=True)
class Got:
    """A request as it arrived. at: Unix seconds."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def id(self) -> str:
        """Its `webhook-id`."""
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        """Its body, read."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What is sent, after `wait_s`. hang: nothing is. reset: the connection is. raw: this instead of an HTTP answer.

    drip_s: seconds between bytes, of the body or, `head` being true, of all. endless: the body is sent again and again.
    """

    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)
    wait_s: float = 0.0
    hang: bool = False
    reset: bool = False
    drip_s: float = 0.0
    head: bool = False
    endless: bool = False
    raw: bytes | None = None


class Receiver:
    """The server. Set `replies` by path: used in turn, the last one for ever; look into `got`."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.replies: dict[str, Sequence[Reply]] = {}
        self.got: list[Got] = []
        self.connections = 0
        self.closing = threading.Event()
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self._answered: Counter[str] = Counter()

    def url(self, path: str = "/hook") -> str:
        """Return an address of it."""
        return self.address + path

    def at(self, path: str) -> list[Got]:
        """Return what has come to a path."""
        return [got for got in self.got if got.path == path]

    def reply(self, got: Got) -> Reply:
        """Note a request. → what is to be answered."""
        with self.lock:
            self.got.append(got)
            script = self.replies.get(got.path, (Reply(),))
            self._answered[got.path] += 1
            return script[min(self._answered[got.path], len(script)) - 1]


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    receiver: Receiver
    context: ssl.SSLContext | None = None

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        self.receiver.connections += 1
        if self.context:  # the handshake is the handler's thread's: it may fail, or never come
            connection = self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, *_: Any) -> None:
        pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30
    server: _Server

    def do_POST(self) -> None:
        receiver = self.server.receiver
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = receiver.reply(Got(self.path, headers, body, time.time()))
        with receiver.lock:
            receiver.at_once += 1
            receiver.most_at_once = max(receiver.most_at_once, receiver.at_once)
        try:
            self._send(receiver, reply)
        except OSError:  # the sender has left
            self.close_connection = True
        finally:
            with receiver.lock:
                receiver.at_once -= 1

    def do_CONNECT(self) -> None:
        """Be a proxy: connect the two, note where to."""
        receiver = self.server.receiver
        receiver.reply(Got(self.path, {name.lower(): value for name, value in self.headers.items()}, b"", time.time()))
        host, _, port = self.path.rpartition(":")
        self.close_connection = True
        with socket.create_connection((host, int(port)), 5) as there:
            self.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=_pipe, args=(there, self.connection), daemon=True)
            back.start()
            _pipe(self.connection, there)
            back.join(5)

    def log_message(self, *_: Any) -> None:
        pass

    def _send(self, receiver: Receiver, reply: Reply) -> None:
        if reply.wait_s or reply.hang:
            receiver.closing.wait(30 if reply.hang else reply.wait_s)
        if reply.hang or reply.reset:
            self.close_connection = True
            # Closed with a time to linger of 0, a connection is reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        if reply.raw is not None:
            self.wfile.write(reply.raw)
            self.close_connection = True
            return
        length = 10**9 if reply.endless else len(reply.body)
        lines = [f"HTTP/1.1 {reply.status} Said", f"Content-Length: {length}"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        head = "\r\n".join([*lines, "", ""]).encode()
        for part, drips in ((head, reply.head), (reply.body, True)):
            for at in range(len(part)) if reply.drip_s and drips else ():
                self.wfile.write(part[at : at + 1])
                if receiver.closing.wait(reply.drip_s):
                    return
            if not (reply.drip_s and drips):
                self.wfile.write(part)
        while reply.endless and not receiver.closing.is_set():
            self.wfile.write(reply.body)


def _pipe(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@contextmanager
def receiving(host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Run a receiver on a free port of a loopback address. context: for TLS."""
    server = _Server((host, 0), _Handler)
    scheme = "https" if context else "http"
    server.context = context
    server.receiver = receiver = Receiver(f"{scheme}://{host}:{server.server_address[1]}")
    with run(server, receiver.closing):
        yield receiver


@contextmanager
def dead(host: str = "127.0.0.1") -> Iterator[str]:
    """Listen, and never accept, with a full backlog: whoever connects waits in vain. → its address."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        listener.listen(0)
        waiting = []
        for _ in range(2):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
            waiting.append(one)
        try:
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            for one in waiting:
                one.close()
