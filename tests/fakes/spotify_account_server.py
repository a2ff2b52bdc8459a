"""A local HTTP server that is Spotify to whoever pushes playlists, with the addresses and shapes of 2026.

Unscripted it behaves: it logs a user in with PKCE (S256, checked), and keeps playlists. Addresses that Spotify has
removed it refuses. A script is a list of replies for a kind of request, used in turn, then it behaves again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.fakes.running import on_a_free_port, run

CLIENT_ID = "0123456789abcdef0123456789abcdef"
MOST_URIS, MOST_PAGE = 100, 50
SCOPES = {"playlist-modify-private", "playlist-modify-public", "playlist-read-private"}


@dataclass(frozen=True)
class Asked:
    """A request as it arrived. kind: authorize, token, me, create, playlists, add, items, dead or other."""

    kind: str
    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    body: bytes
    authorization: str


@dataclass(frozen=True)
class Reply:
    """What is sent.

    done: what was asked for is done before, whatever is sent. lost: nothing is sent, the connection is closed.
    held: nothing is sent before the server closes.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    done: bool = False
    lost: bool = False
    held: bool = False


LOST = Reply(lost=True)
DONE_AND_LOST = Reply(lost=True, done=True)
DONE_AND_HELD = Reply(held=True, done=True)
HELD = Reply(held=True)
WELL = Reply(status=0)
"""In a script: behave."""


def says(value: Any, status: int = 200, **headers: str) -> Reply:
    """Reply with JSON; underscores in the names of headers stand for hyphens."""
    return Reply(status, json.dumps(value).encode(), {k.replace("_", "-"): v for k, v in headers.items()})


def error(status: int, message: str, reason: str | None = None, **headers: str) -> Reply:
    """Reply with an error as the Web API words them; `reason` came in July 2026."""
    details = {"status": status, "message": message} | ({"reason": reason} if reason else {})
    return says({"error": details}, status, **headers)


class FakeAccount:
    """The server, with one user. Set scripts; look into `asked` and `playlists`."""

    def __init__(self, address: str) -> None:
        self.address, self.api_url = address, f"{address}/v1"
        self.user, self.redirect_uris, self.consents = "ada", set[str](), True
        self.playlists: dict[str, dict[str, Any]] = {}
        self.scripts: dict[str, list[Reply]] = defaultdict(list)
        self.unknown: set[str] = set()
        """URIs that Spotify would not take."""
        self.old_shape = False
        """Items come under `track`, as before 2026."""
        self.asked: list[Asked] = []
        self.closing = threading.Event()
        self.tokens: set[str] = set()
        self.refresh_tokens: set[str] = set()
        self._codes: dict[str, dict[str, str]] = {}
        self._issued = 0
        self._lock = threading.Lock()

    def count(self, kind: str) -> int:
        """Return how many requests of a kind have come."""
        return sum(asked.kind == kind for asked in self.asked)

    def new_tokens(self) -> dict[str, Any]:
        """Issue a pair of tokens, as the accounts service shows it."""
        self._issued += 1
        token, refresh = f"BQ-access-{self._issued}", f"AQ-refresh-{self._issued}"
        self.tokens.add(token)
        self.refresh_tokens.add(refresh)
        return {
            "access_token": token,
            "token_type": "Bearer",
            "scope": " ".join(sorted(SCOPES)),
            "expires_in": 3600,
            "refresh_token": refresh,
        }

    def songs(self) -> list[list[str]]:
        """Return the URIs in each playlist."""
        return [playlist["uris"] for playlist in self.playlists.values()]

    def reply(self, asked: Asked) -> Reply:
        """Answer by the script, or else well."""
        with self._lock:
            self.asked.append(asked)
            script = self.scripts[asked.kind]
            said = script.pop(0) if script else WELL
            behaved = getattr(self, "_" + asked.kind)(asked) if said is WELL or said.done else said
            return behaved if said is WELL else said

    def _authorize(self, asked: Asked) -> Reply:
        query = asked.query
        if query.get("client_id") != CLIENT_ID or query.get("response_type") != "code":
            return Reply(400, b"INVALID_CLIENT: Invalid client")
        if query.get("redirect_uri") not in self.redirect_uris:
            return Reply(400, b"INVALID_CLIENT: Invalid redirect URI")
        if query.get("code_challenge_method") != "S256" or not re.fullmatch(
            r"[\w-]{43}", query.get("code_challenge", "")
        ):
            return Reply(400, b"code_challenge_method must be S256")
        code = f"AQcode{len(self._codes)}"
        self._codes[code] = query
        answer = {"code": code} if self.consents else {"error": "access_denied"}
        to = query["redirect_uri"] + "?" + urlencode(answer | {"state": query.get("state", "")})
        return Reply(302, headers={"Location": to})

    def _token(self, asked: Asked) -> Reply:
        form = asked.form
        if form.get("client_id") != CLIENT_ID or "client_secret" in form or asked.authorization:
            return says({"error": "invalid_client", "error_description": "Invalid client"}, 400)
        if form.get("grant_type") == "refresh_token":
            if form.get("refresh_token") not in self.refresh_tokens:
                return says({"error": "invalid_grant", "error_description": "Refresh token revoked"}, 400)
            self.refresh_tokens.discard(form["refresh_token"])  # each can be used once
            return says(self.new_tokens())
        query = self._codes.pop(form.get("code", ""), None)  # so can a code
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if query is None or query["redirect_uri"] != form.get("redirect_uri"):
            return says({"error": "invalid_grant", "error_description": "Invalid authorization code"}, 400)
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != query["code_challenge"]:
            return says({"error": "invalid_grant", "error_description": "code_verifier was incorrect"}, 400)
        if set(query.get("scope", "").split()) != SCOPES:
            return says({"error": "invalid_scope", "error_description": "Not what playlists need"}, 400)
        return says(self.new_tokens())

    def _me(self, asked: Asked) -> Reply:
        """Without e-mail address, country and product, as development mode shows a user."""
        return self._refused(asked) or says({"id": self.user, "display_name": "Ada", "type": "user"})

    def _create(self, asked: Asked) -> Reply:
        wish = json.loads(asked.body)
        if refused := self._refused(asked):
            return refused
        if not wish.get("name"):
            return error(400, "Missing required field: name")
        playlist_id = f"{len(self.playlists):022d}"
        self.playlists[playlist_id] = {
            "name": wish["name"],
            "public": wish.get("public", True),
            "description": wish.get("description"),
            "uris": [],
        }
        return says(self._shown(playlist_id), 201)

    def _playlists(self, asked: Asked) -> Reply:
        return self._refused(asked) or self._page(asked, [self._shown(i) for i in reversed(self.playlists)])

    def _add(self, asked: Asked) -> Reply:
        uris = json.loads(asked.body)
        uris = uris["uris"] if isinstance(uris, dict) else uris
        playlist = self.playlists.get(asked.path.split("/")[3])
        if refused := self._refused(asked):
            return refused
        if playlist is None:
            return error(404, "Resource not found")
        if not 0 < len(uris) <= MOST_URIS:
            return error(400, f"You can add a maximum of {MOST_URIS} tracks per request.")
        if not all(re.fullmatch(r"spotify:track:[0-9A-Za-z]{22}", uri) for uri in uris) or set(uris) & self.unknown:
            return error(400, "Payload contains a non-existing ID")
        playlist["uris"] += uris
        return says({"snapshot_id": f"snapshot{len(playlist['uris'])}"}, 201)

    def _items(self, asked: Asked) -> Reply:
        playlist = self.playlists.get(asked.path.split("/")[3])
        if refused := self._refused(asked):
            return refused
        if playlist is None:
            return error(404, "Resource not found")
        name = "track" if self.old_shape else "item"
        return self._page(asked, [{"is_local": False, name: {"uri": u, "type": "track"}} for u in playlist["uris"]])

    def _dead(self, asked: Asked) -> Reply:
        return error(403, "Forbidden") if asked.method == "POST" else error(404, "Service not found")

    def _other(self, asked: Asked) -> Reply:
        return error(404, "Service not found")

    def _refused(self, asked: Asked) -> Reply | None:
        held = asked.authorization.removeprefix("Bearer ") in self.tokens
        return None if held else error(401, "The access token expired")

    def _page(self, asked: Asked, entries: list[dict[str, Any]]) -> Reply:
        limit, offset = int(asked.query.get("limit", "20")), int(asked.query.get("offset", "0"))
        if not 0 < limit <= MOST_PAGE:
            return error(400, "Invalid limit")
        # What `next` says leads away: whoever follows it gives its token to somebody else.
        page = {"items": entries[offset : offset + limit], "limit": limit, "offset": offset, "total": len(entries)}
        return says({**page, "next": "http://127.0.0.1:9/stolen" if offset + limit < len(entries) else None})

    def _shown(self, playlist_id: str) -> dict[str, Any]:
        playlist = self.playlists[playlist_id]
        return {
            "id": playlist_id,
            "name": playlist["name"],
            "description": playlist["description"],
            "public": playlist["public"],
            "owner": {"id": self.user, "type": "user"},
            "items": {"total": len(playlist["uris"])},
            "snapshot_id": f"snapshot{len(playlist['uris'])}",
            "external_urls": {"spotify": f"https://open.spotify.com/playlist/{playlist_id}"},
            "type": "playlist",
        }


KINDS = [
    ("GET", r"/authorize", "authorize"),
    ("POST", r"/api/token", "token"),
    ("GET", r"/v1/me/?", "me"),
    ("POST", r"/v1/me/playlists", "create"),
    ("GET", r"/v1/me/playlists", "playlists"),
    ("POST", r"/v1/playlists/\w+/items", "add"),
    ("GET", r"/v1/playlists/\w+/items", "items"),
    ("(GET|POST)", r"/v1/users/[^/]+/playlists|/v1/playlists/\w+/tracks", "dead"),
]


@contextmanager
def serving() -> Iterator[FakeAccount]:
    """Run a server on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            url = urlsplit(self.path)
            kinds = (k for m, p, k in KINDS if re.fullmatch(m, self.command) and re.fullmatch(p, url.path))
            kind = next(kinds, "other")
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            form = {n: v[0] for n, v in parse_qs(body.decode()).items()} if kind == "token" else {}
            asked = Asked(kind, self.command, url.path, query, form, body, self.headers.get("Authorization", ""))
            reply = fake.reply(asked)
            if reply.held:
                fake.closing.wait(30)
            if reply.held or reply.lost:
                self.close_connection = True
                return
            headers = {"Content-Type": "application/json", "Content-Length": str(len(reply.body)), **reply.headers}
            lines = [f"HTTP/1.1 {reply.status} Said", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
            try:
                self.wfile.write("\r\n".join(lines).encode() + reply.body)
            except OSError:  # the client has left
                self.close_connection = True

    server, address = on_a_free_port(Handler)
    fake = FakeAccount(address)
    with run(server, fake.closing):
        yield fake
