"""A local HTTP server that speaks as Spotify (accounts, search) and ReccoBeats do in 2026, well or badly, as told.

Unscripted it behaves: it issues tokens for the right credentials, wants one of them for a search, refuses what
development mode refuses, and answers with the songs that it was given. A script is a list of replies, used in turn,
the last one for ever.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.fakes.running import on_a_free_port, run

CLIENT_ID, CLIENT_SECRET = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
LONGEST_QUERY, MOST_RESULTS = 250, 10


@dataclass(frozen=True)
class Asked:
    """A request as it arrived. kind: token, search, features or other."""

    kind: str
    path: str
    query: dict[str, str]
    authorization: str

    @property
    def fields(self) -> dict[str, str]:
        """The query as Spotify reads it: field filter → value, "" → what stands before the first one."""
        parts = re.split(r"(?:^|\s)(\w+):", self.query["q"])
        return {"": parts[0].strip(), **{k: v.strip() for k, v in zip(parts[1::2], parts[2::2], strict=True)}}


@dataclass(frozen=True)
class Reply:
    """What is sent. hang: nothing is. drip_s: seconds between bytes, of the body or, `head` being true, of all.

    length: the Content-Length that is claimed; None: the true one. endless: the body is sent again and again.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    drip_s: float = 0.0
    head: bool = False
    length: int | None = None
    endless: bool = False


Script = Sequence[Reply | Callable[[Asked], Reply]]


def says(value: Any, status: int = 200, **headers: str) -> Reply:
    """Reply with JSON; underscores in the names of headers stand for hyphens."""
    return Reply(status, json.dumps(value).encode(), {k.replace("_", "-"): v for k, v in headers.items()})


def error(status: int, message: str, reason: str | None = None, **headers: str) -> Reply:
    """Reply with an error as the Web API words them; `reason` came in July 2026."""
    details = {"status": status, "message": message} | ({"reason": reason} if reason else {})
    return says({"error": details}, status, **headers)


def track(number: int, name: str, *artists: str, **fields: Any) -> dict[str, Any]:
    """Return a track as development mode shows it: without popularity, markets and previews."""
    track_id = f"{number:022d}"
    return {
        "album": {"album_type": "album", "id": "a" * 22, "name": "An album", "release_date": "2001-03-12"},
        "artists": [{"id": "b" * 22, "name": artist, "type": "artist"} for artist in artists],
        "duration_ms": 215_000,
        "explicit": False,
        "external_ids": {"isrc": f"GBAYE{number:07d}"},
        "external_urls": {"spotify": f"https://open.spotify.com/track/{track_id}"},
        "id": track_id,
        "is_local": False,
        "name": name,
        "type": "track",
        "uri": f"spotify:track:{track_id}",
        **fields,
    }


def results(*items: Any) -> Reply:
    """Reply to a search."""
    return says({"tracks": {"href": "", "items": list(items), "limit": 10, "next": None, "offset": 0, "total": 1}})


class FakeSpotify:
    """The server. Set songs, features or a script; look into `asked`."""

    def __init__(self, address: str) -> None:
        self.api_url, self.accounts_url, self.reccobeats_url = f"{address}/v1", address, f"{address}/recco"
        self.songs: list[dict[str, Any]] = []
        self.features: dict[str, dict[str, Any]] = {}
        self.token_script: Script = ()
        self.search_script: Script = ()
        self.features_script: Script = ()
        self.tokens: list[str] = []
        self.expired: set[str] = set()
        self.asked: list[Asked] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()

    def count(self, kind: str) -> int:
        """Return how many requests of a kind have come."""
        return sum(asked.kind == kind for asked in self.asked)

    def reply(self, asked: Asked) -> Reply:
        """Answer by the script, or else well."""
        with self._lock:
            number = self.count(asked.kind)
            self.asked.append(asked)
            script = {"token": self.token_script, "search": self.search_script, "features": self.features_script}.get(
                asked.kind, ()
            )
            reply = script[min(number, len(script) - 1)] if script else getattr(self, "_" + asked.kind)
        return reply if isinstance(reply, Reply) else reply(asked)

    def _token(self, asked: Asked) -> Reply:
        right = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if asked.authorization != f"Basic {right}":
            return says({"error": "invalid_client", "error_description": "Invalid client"}, 400)
        self.tokens.append(f"BQ-token-{len(self.tokens) + 1}")
        return says({"access_token": self.tokens[-1], "token_type": "Bearer", "expires_in": 3600})

    def _search(self, asked: Asked) -> Reply:
        token = asked.authorization.removeprefix("Bearer ")
        if token not in self.tokens:
            return error(401, "Invalid access token")
        if token in self.expired:
            return error(401, "The access token expired")
        if asked.query.get("type") != "track" or not asked.query.get("q"):
            return error(400, "Missing required field: type")
        if len(asked.query["q"]) > LONGEST_QUERY:
            return error(400, "Query exceeds maximum length of 250 characters")
        if int(asked.query.get("limit", "5")) > MOST_RESULTS:
            return error(400, "Invalid limit")
        wanted = asked.fields.get("track", "").casefold()
        return results(*(song for song in self.songs if song["name"].casefold() == wanted))

    def _features(self, asked: Asked) -> Reply:
        known = [self.features[i] for i in asked.query.get("ids", "").split(",") if i in self.features]
        return says({"content": known})

    def _other(self, asked: Asked) -> Reply:
        return error(404, "Service not found")


@contextmanager
def serving() -> Iterator[FakeSpotify]:
    """Run a server on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self._answer()

        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self) -> None:
            url = urlsplit(self.path)
            kinds = {"/api/token": "token", "/v1/search": "search", "/recco/v1/audio-features": "features"}
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            asked = Asked(kinds.get(url.path, "other"), url.path, query, self.headers.get("Authorization", ""))
            self._send(fake.reply(asked))

        def _send(self, reply: Reply) -> None:
            if reply.hang:
                fake.closing.wait()
                self.close_connection = True
                return
            length = len(reply.body) if reply.length is None else reply.length
            headers = {"Content-Type": "application/json", "Content-Length": str(length), **reply.headers}
            lines = [f"HTTP/1.1 {reply.status} Said", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
            head = "\r\n".join(lines).encode()
            self.close_connection = length != len(reply.body)
            try:
                for part, drips in ((head, reply.head), (reply.body, True)):
                    self._write(part, reply.drip_s if drips else 0.0)
                while reply.endless and not fake.closing.is_set():
                    self.wfile.write(reply.body)
            except OSError:  # the client has left
                self.close_connection = True

        def _write(self, data: bytes, drip_s: float) -> None:
            if not drip_s:
                self.wfile.write(data)
                return
            for at in range(len(data)):
                self.wfile.write(data[at : at + 1])
                if fake.closing.wait(drip_s):
                    self.close_connection = True
                    return

    server, address = on_a_free_port(Handler)
    fake = FakeSpotify(address)
    with run(server, fake.closing):
        yield fake
