"""How all of these servers are run: in a thread, and gone at the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def run(server: ThreadingHTTPServer, closing: threading.Event) -> Iterator[None]:
    """Serve from a thread. closing: is set at the end, for handlers that hold an answer back."""
    server.daemon_threads = True
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield
        finally:
            closing.set()
            server.shutdown()
            thread.join()


def on_a_free_port(handler: type[BaseHTTPRequestHandler]) -> tuple[ThreadingHTTPServer, str]:
    """Bind a free loopback port. → the server, not yet running, and its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    return server, f"http://127.0.0.1:{server.server_address[1]}"
