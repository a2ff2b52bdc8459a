"""Callers that mean harm, or are broken: what they send is refused, and the others are served meanwhile."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from tests import services
from tests.integration.test_jobs_http import problem
from tests.services import Answer, Client, Service

QUERY = json.dumps({"seeds": [{"name": "A song"}]}).encode()


@pytest.fixture
def client(service: Service) -> Client:
    with service.connection() as connection:
        connection.flushall()
    return service.client


def at(client: Client) -> tuple[str, int]:
    parts = urlsplit(client.address)
    return str(parts.hostname), int(parts.port or 0)


def connect(client: Client, timeout_s: float = 30) -> socket.socket:
    return socket.create_connection(at(client), timeout=timeout_s)


def head(path: str = "/v1/recommendations", method: str = "POST", **headers: object) -> bytes:
    """Return a request up to its body."""
    named = {"Host": "x", "Content_Type": "application/json"} | headers
    lines = [f"{method} {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in named.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def read(connection: socket.socket) -> bytes:
    """Read until the other side closes, or says nothing for the connection's time-out."""
    got = b""
    try:
        while part := connection.recv(65536):
            got += part
    except ConnectionError:
        pass
    return got


def status(connection: socket.socket) -> int:
    """Return the status of the answer that comes, 0 if the connection is closed instead."""
    try:
        return int((connection.recv(65536) or b"HTTP/1.1 0 ").split(b" ", 2)[1])
    except ConnectionError:
        return 0


def test_slow_senders_keep_nobody_from_being_served_and_are_sent_away(client: Client) -> None:
    """Half of them are slow with their headers, half with their body, and some of these send on, drop by drop."""
    half, body = 32, head(Content_Length=1000)
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(client, 40)) for _ in range(2 * half)]
        began = time.monotonic()
        for n, connection in enumerate(slow):
            connection.sendall(body[:40] if n < half else body + b'{"seeds": ')
        seconds = []
        while time.monotonic() - began < 3:
            for connection in slow[half : half + 8]:
                connection.sendall(b" ")
            asked = time.monotonic()
            assert client.get("/livez").status == 200
            assert client.post("/v1/recommendations", QUERY).status == 202
            seconds.append(time.monotonic() - asked)
            time.sleep(0.1)
        assert max(seconds) < 2
        answers = [status(connection) for connection in slow[:-1]]
        last = slow[-1].recv(65536)
        assert b'"too-slow"' in last
        answers.append(int(last.split(b" ", 2)[1]))
        assert time.monotonic() - began < 25
    assert set(answers[:half]) <= {0, 408}
    assert answers[half:] == [408] * half


def test_a_body_that_is_cut_off_is_nobodys_request(client: Client, service: Service) -> None:
    for sent in (head(Content_Length=1000) + QUERY, head("/v1/batches", Content_Length=1000) + b'{"items": ['):
        with connect(client) as hung_up:
            hung_up.sendall(sent)
        with connect(client) as half_closed:
            half_closed.sendall(sent)
            half_closed.shutdown(socket.SHUT_WR)
            assert status(half_closed) in (0, 400)
    whole = head(Content_Length=len(QUERY), Connection="close") + QUERY
    with connect(client) as half_closed:
        half_closed.sendall(whole)
        half_closed.shutdown(socket.SHUT_WR)
        assert status(half_closed) in (0, 202), "whether it is answered is the server's choice"
    with service.connection() as connection:
        assert connection.llen("rq:queue:interactive") <= 1
    assert "Traceback" not in (service.folder / "api.log").read_text()


async def _wait_for_jobs(address: tuple[str, int], path: str, count: int) -> list[tuple[bytes, float]]:
    """Ask `count` times within some seconds. → what came for each, and how long it took."""

    async def one(n: int) -> tuple[bytes, float]:
        await asyncio.sleep(n / 400)
        began = time.monotonic()
        reader, writer = await asyncio.open_connection(*address)
        writer.write(head(path, "GET", Connection="close"))
        got = await reader.read()
        writer.close()
        return got, time.monotonic() - began

    return await asyncio.gather(*(one(n) for n in range(count)))


def test_more_waiters_than_it_holds_are_told_the_state_at_once(client: Client) -> None:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files < 3000:
        pytest.skip(f"needs 3,000 open files; the limit is {files}")
    job = client.post("/v1/recommendations", QUERY).json
    held, more = 1000, 300
    with ThreadPoolExecutor(1) as beside:
        waiting = beside.submit(asyncio.run, _wait_for_jobs(at(client), f"{job['links']['self']}?wait=8", held + more))
        seconds = []
        while not waiting.done():
            began = time.monotonic()
            assert client.get("/livez").status == 200
            seconds.append(time.monotonic() - began)
            time.sleep(0.1)
        answers = waiting.result()
    assert all(got.startswith(b"HTTP/1.1 200") and b'"status":"queued"' in got for got, _ in answers)
    at_once = sum(took < 4 for _, took in answers)
    assert at_once == more
    assert max(seconds) < 4


@pytest.mark.parametrize("count", [200, 2000])
def test_a_bomb_of_headers_is_refused(client: Client, count: int) -> None:
    with connect(client) as connection:
        many = "".join(f"X-{n}: {'y' * 500}\r\n" for n in range(count))
        connection.sendall(f"GET /livez HTTP/1.1\r\nHost: x\r\n{many}\r\n".encode())
        assert status(connection) in (0, 400, 431)
    assert client.is_up()


@pytest.mark.parametrize("name", ["Idempotency-Key", "Authorization", "X-Whatever"])
def test_a_header_that_is_no_text_is_refused_not_overlooked(client: Client, name: str) -> None:
    with connect(client) as connection:
        connection.sendall(head(Content_Length=len(QUERY))[:-2] + f"{name}: \u00fc\r\n\r\n".encode() + QUERY)
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 400")
    assert name.lower().encode() in answer
    assert b'"bad-request"' in answer


def _chunks(total: int, size: int = 65536) -> Iterator[bytes]:
    chunk = b"%x\r\n" % size + b" " * size + b"\r\n"
    for _ in range(total // size + 1):
        yield chunk
    yield b"0\r\n\r\n"


@pytest.mark.parametrize(("path", "most"), [("/v1/recommendations", 1_000_000), ("/v1/batches", 32_000_000)])
@pytest.mark.parametrize("told", [True, False])
def test_what_is_too_large_is_413_and_not_cut(client: Client, path: str, most: int, told: bool) -> None:
    """Clients look for an answer when they have sent everything: they have to find one."""
    with connect(client) as connection:
        if told:
            connection.sendall(head(path, Content_Length=most + 1))
            connection.sendall(b" " * (most + 1))
        else:
            connection.sendall(head(path, Transfer_Encoding="chunked"))
            for chunk in _chunks(most + 100_000):
                connection.sendall(chunk)
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413"), answer
    assert b'"too-large"' in answer


def test_more_bytes_than_it_holds_at_once_are_refused_until_there_is_room(client: Client) -> None:
    size = 31_000_000
    body = head("/v1/batches", Content_Length=size) + b" " * (size - 1)
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(connect(client)).sendall(body)
        one_more = stack.enter_context(connect(client))
        one_more.sendall(body + b" ")
        answer = one_more.recv(65536)
    assert answer.startswith(b"HTTP/1.1 503")
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["code"] == "busy"
    services.wait_for(lambda: client.post("/v1/batches", b" " * size).status == 400, "room", 20)


def test_chunks_make_a_body(client: Client) -> None:
    with connect(client) as connection:
        parts = b"".join(b"1\r\n%c\r\n" % byte for byte in QUERY)
        connection.sendall(head(Transfer_Encoding="chunked") + parts + b"0\r\n\r\n")
        assert status(connection) == 202


@pytest.mark.parametrize("length", ["99999999999999999999999", "-1", "+5", "0x10", "1e3", "5, 5, 6", "", "5 5"])
def test_an_absurd_content_length_is_refused(client: Client, length: str) -> None:
    with connect(client, 5) as connection:
        connection.sendall(head(Content_Length=length, Expect="100-continue"))
        assert status(connection) in (0, 400, 413)
    with connect(client, 5) as connection:  # two ways to say how long it is: what proxies are smuggled by
        connection.sendall(
            head(Content_Length=5, Transfer_Encoding="chunked") + b"0\r\n\r\nGET /livez HTTP/1.1\r\n\r\n"
        )
        assert status(connection) in (0, 400)


def test_who_expects_to_be_told_is_told(client: Client) -> None:
    with connect(client) as connection:
        connection.sendall(head(Content_Length=len(QUERY), Expect="100-continue"))
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(QUERY)
        assert status(connection) == 202
    with connect(client) as connection:
        connection.sendall(head(Content_Length=2_000_000, Expect="100-continue"))
        assert status(connection) == 413, "without having been told to send it"


def test_requests_in_a_row_are_answered_in_their_order(client: Client) -> None:
    asked = [head("/livez", "GET"), head("/nope", "GET"), head(Content_Length=len(QUERY)) + QUERY]
    with connect(client) as connection:
        connection.sendall(b"".join(asked) + head("/v1/genres", "GET", Connection="close"))
        got = read(connection)
    assert [int(part[:3]) for part in got.split(b"HTTP/1.1 ")[1:]] == [200, 404, 202, 200]


def test_a_get_with_a_body_leaves_nothing_behind(client: Client) -> None:
    smuggled = head("/nope", "GET")
    with connect(client, 5) as connection:
        connection.sendall(head("/livez", "GET", Content_Length=len(smuggled)) + smuggled)
        connection.sendall(head("/v1/genres", "GET", Connection="close"))
        got = read(connection)
    assert b" 404 " not in got


@pytest.mark.parametrize("method", ["FOO", "TRACE", "CONNECT", "PATCH", "PROPFIND"])
def test_methods_that_there_are_not(client: Client, method: str) -> None:
    with connect(client, 5) as connection:
        connection.sendall(head("/v1/model", method, Content_Length=0))
        answer = connection.recv(65536)
    assert answer.split(b" ", 2)[1] in (b"400", b"405"), answer


@pytest.mark.parametrize(
    "path",
    [
        "/v1/jobs/%00",
        "/v1/jobs/%ff%fe",
        "/v1/jobs/%C0%AE%C0%AE%2F",
        "/v1/jobs/..%2F..%2Fetc%2Fpasswd",
        "/v1/jobs/../../livez",
        "/v1//model",
        "//v1/model",
        "/v1/model/",
        "/docs/..%2Fapp.py",
        "/docs/%2e%2e/app.py",
        "/docs/....//app.py",
        "/v1/tracks/" + "%F0%9F%8E%B5" * 60,
        "/" + "a" * 5000,
        "/v1/jobs/%E2%80%AE%0D%0AX-Evil:1",
        "/%",
        "/v1/popular?genre=%00",
        "/v1/popular?genre=%ff",
        "/v1/popular?genre=" + "%F0%9F%8E%B5" * 300,
        "/v1/popular?limit=%D9%A3",
        "/v1/popular?%ff=1",
        "/v1/popular?limit=1&limit=2",
        "/v1/tracks?q=" + "a" * 60_000,
    ],
)
def test_odd_paths_are_refused_in_good_order(client: Client, path: str) -> None:
    with connect(client, 10) as connection:
        connection.sendall(head(path, "GET", Connection="close"))
        answer = read(connection)
    code = int(answer.split(b" ", 2)[1])
    assert code in (400, 404, 414, 422, 431, 503) or (
        path in ("//v1/model", "/v1/popular?limit=1&limit=2") and code == 200
    ), answer
    assert b"X-Evil" not in answer.split(b"\r\n\r\n")[0]
    if code in (404, 422):
        assert b"content-type: application/problem+json" in answer.lower()


@pytest.mark.parametrize(
    "target", ["http://other.example/v1/model", "*", "other.example:443", "", "/ HTTP/9.9", "/\u00fc"]
)
def test_odd_targets_break_nothing(client: Client, target: str) -> None:
    with connect(client, 5) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        read(connection)
    for raw in (b"\x16\x03\x01\x02\x00\x01\x00", b"\x00" * 1000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
        with connect(client, 2) as connection:
            connection.sendall(raw)
    assert client.is_up()


def test_json_bombs_cost_little_also_to_others(client: Client) -> None:
    bombs = [b"[" * 900_000, b'{"a":' * 180_000, b'{"seeds": [' + b"{}," * 300_000 + b"{}]}", b"1" * 900_000]
    with ThreadPoolExecutor(8) as threads:
        sent = [threads.submit(client.post, "/v1/recommendations", bomb) for bomb in bombs * 2]
        began = time.monotonic()
        assert client.get("/livez").status == 200
        assert time.monotonic() - began < 5
        for one in sent:
            answer: Answer = one.result()
            problem(answer, answer.status, {400: "malformed-json", 422: "invalid-request"}[answer.status])


def test_nothing_of_all_this_was_an_error_of_ours(client: Client, service: Service) -> None:
    log = (service.folder / "api.log").read_text()
    assert "Traceback" not in log
    assert " 500 " not in log
