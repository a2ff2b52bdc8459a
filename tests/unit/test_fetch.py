"""Downloading a data set from a real server on this machine: whole, or an error and nothing left behind."""

from __future__ import annotations

import gc
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests import builders
from training.dataset import DatasetError, fetch, read

TEXT = builders.csv_text(builders.songs(*[{}] * 500)).encode()
HTML = b"<!doctype html><html><body>Please log in, track_id</body></html>"
DRIP_S, DRIPS = 0.05, 60


class Answers(BaseHTTPRequestHandler):
    """Answers by path: /whole, /unsized, /short, /chunked-short, /empty, /drip, /html, /moved; else 404."""

    protocol_version = "HTTP/1.1"
    gone: threading.Event

    def do_GET(self) -> None:
        self.close_connection = True
        paths: dict[str, Callable[[], None]] = {
            "/whole": lambda: self.answer(TEXT, {"Content-Length": str(len(TEXT))}),
            "/unsized": lambda: self.answer(TEXT, {"Connection": "close"}),
            "/short": lambda: self.answer(TEXT[:1000], {"Content-Length": str(len(TEXT))}),
            "/chunked-short": lambda: self.answer(b"400\r\n" + TEXT[:100], {"Transfer-Encoding": "chunked"}),
            "/empty": lambda: self.answer(b"", {"Content-Length": "0"}),
            "/html": lambda: self.answer(HTML, {"Content-Length": str(len(HTML))}),
            "/drip": self.drip,
            "/moved": lambda: self.answer(b"", {"Location": "/whole", "Content-Length": "0"}, 302),
            "/elsewhere": lambda: self.answer(b"", {"Location": "file:///etc/hostname", "Content-Length": "0"}, 302),
        }
        paths.get(self.path, lambda: self.answer(b"none", {"Content-Length": "4"}, 404))()

    def answer(self, body: bytes, headers: dict[str, str], status: int = 200) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self) -> None:
        """Send some data byte by byte until the client has gone."""
        self.answer(b"", {"Content-Length": str(len(TEXT))})
        try:
            for i in range(DRIPS):
                self.wfile.write(TEXT[i : i + 1])
                self.gone.wait(DRIP_S)
        except OSError:
            self.gone.set()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that gives `Answers`."""
    monkeypatch.setenv("no_proxy", "*")
    Answers.gone = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        Answers.gone.set()
        httpd.shutdown()
        thread.join()


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A socket that listens, and says only what a test makes it say."""
    monkeypatch.setenv("no_proxy", "*")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def get(url: str, path: Path, connect_timeout_s: float = 5, total_timeout_s: float = 20) -> list[tuple[int, int]]:
    """Fetch, and return what was told on the way."""
    told: list[tuple[int, int]] = []
    fetch(
        url,
        path,
        connect_timeout_s=connect_timeout_s,
        total_timeout_s=total_timeout_s,
        tell=lambda so_far, total: told.append((so_far, total)),
    )
    return told


def fails(url: str, tmp_path: Path, connect_timeout_s: float = 5, total_timeout_s: float = 20) -> str:
    """Check that fetching fails and leaves nothing; return the message."""
    path = tmp_path / "data" / "tracks.csv"
    with pytest.raises(DatasetError) as caught:
        get(url, path, connect_timeout_s, total_timeout_s)
    assert not path.parent.exists() or list(path.parent.iterdir()) == []
    return str(caught.value)


def address(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}/whole"


@pytest.mark.parametrize(("page", "total"), [("whole", len(TEXT)), ("unsized", 0), ("moved", len(TEXT))])
def test_a_whole_download(server: str, tmp_path: Path, page: str, total: int) -> None:
    path = tmp_path / "new" / "directory" / "tracks.csv"
    told = get(f"{server}/{page}", path)
    assert path.read_bytes() == TEXT
    assert len(read(path)) == 500
    assert told[-1] == (len(TEXT), total)
    assert [so_far for so_far, _ in told] == sorted(so_far for so_far, _ in told)
    assert [p.name for p in path.parent.iterdir()] == ["tracks.csv"]


def test_a_leftover_of_a_killed_download_is_in_nobodys_way(server: str, tmp_path: Path) -> None:
    (tmp_path / "tracks.csv.part").write_bytes(b"rubbish" * 100_000)
    get(f"{server}/whole", tmp_path / "tracks.csv")
    assert {p.name: p.stat().st_size for p in tmp_path.iterdir()} == {"tracks.csv": len(TEXT)}


def test_a_failed_download_leaves_the_file_that_was_there(server: str, tmp_path: Path) -> None:
    path = tmp_path / "tracks.csv"
    path.write_text("older")
    with pytest.raises(DatasetError):
        get(f"{server}/short", path)
    assert [p.name for p in tmp_path.iterdir()] == ["tracks.csv"]
    assert path.read_text() == "older"


def test_a_download_that_breaks_off(server: str, tmp_path: Path) -> None:
    assert fails(f"{server}/short", tmp_path) == f"{server}/short: broke off after 1,000 of {len(TEXT):,} bytes"


def test_a_download_in_chunks_that_breaks_off(server: str, tmp_path: Path) -> None:
    assert f"{server}/chunked-short: " in fails(f"{server}/chunked-short", tmp_path)


def test_a_port_that_nobody_listens_on(silent: socket.socket, tmp_path: Path) -> None:
    url = address(silent)
    silent.close()
    message = fails(url, tmp_path)
    assert message.startswith(f"{url}: ")
    assert "refused" in message


def test_a_server_that_says_nothing(silent: socket.socket, tmp_path: Path) -> None:
    started = time.monotonic()
    message = fails(address(silent), tmp_path, connect_timeout_s=0.2)
    assert 0.2 <= time.monotonic() - started < 2
    assert "timed out" in message


def test_a_server_that_falls_silent_midway(silent: socket.socket, tmp_path: Path) -> None:
    def begin() -> None:
        connection, _ = silent.accept()
        with closing(connection):
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + TEXT[:10])
            connection.recv(1)  # until the client hangs up

    thread = threading.Thread(target=begin)
    thread.start()
    started = time.monotonic()
    message = fails(address(silent), tmp_path, connect_timeout_s=0.2)
    thread.join()
    assert time.monotonic() - started < 2
    assert "timed out" in message


@pytest.mark.parametrize("rubbish", [b"SSH-2.0-OpenSSH_9.7\r\n", b"", b"HTTP/1.1 two hundred\r\n\r\n"])
def test_a_server_that_speaks_no_http(silent: socket.socket, tmp_path: Path, rubbish: bytes) -> None:
    def speak() -> None:
        connection, _ = silent.accept()
        with closing(connection):
            connection.recv(65_536)
            connection.sendall(rubbish)

    thread = threading.Thread(target=speak)
    thread.start()
    try:
        assert address(silent) in fails(address(silent), tmp_path)
    finally:
        thread.join()


def test_a_server_that_drips(server: str, tmp_path: Path) -> None:
    started = time.monotonic()
    message = fails(f"{server}/drip", tmp_path, connect_timeout_s=2, total_timeout_s=0.3)
    assert 0.3 <= time.monotonic() - started < 2
    assert "not done after" in message


def test_a_page_that_is_not_there(server: str, tmp_path: Path) -> None:
    assert fails(f"{server}/absent", tmp_path) == f"{server}/absent: Not Found"
    gc.collect()  # a connection that was left open would warn here, and fail this test rather than another


def test_a_page_instead_of_data(server: str, tmp_path: Path) -> None:
    assert "column missing: track_id" in fails(f"{server}/html", tmp_path)


def test_an_empty_answer(server: str, tmp_path: Path) -> None:
    fails(f"{server}/empty", tmp_path)


def test_addresses_that_are_not_http_are_refused(server: str, tmp_path: Path) -> None:
    source = builders.write(tmp_path / "source.csv", builders.songs({}), "million")
    for url in (source.as_uri(), "ftp://127.0.0.1/tracks.csv", str(source), "data:text/csv,track_id"):
        assert "no http:// or https:// address" in fails(url, tmp_path)
    assert f"{server}/elsewhere" in fails(f"{server}/elsewhere", tmp_path)
