"""Look up a song that the catalogue does not have: its name at Spotify → ids, of which our catalogue may know one.

Spotify gives no audio features to apps made since 2024-11-27, and in development mode (2026) neither popularity nor
more than ten results; its quota is counted for each account, so everything that limits us is shared by all workers, in
Redis. What it answers is kept there for keys.SPOTIFY_HIT_TTL_S at most and goes nowhere else: its terms forbid
training on it.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import redis
import spotipy  # type: ignore[import-untyped]

from producer import codec, keys
from producer.errors import BadMessage
from producer.walled_http import Refused, Rubbish, Session, TooSlow, read_json
from worker.breaker import Limits
from worker.outside import Call, Outcome, Service

_RESULTS = 10
"""The most that development mode gives."""

_NAME_LENGTH, _ARTIST_LENGTH = 150, 80
"""Of a query, in characters: with its two field names it stays under the 250 that Spotify takes."""

_SYNTAX = re.compile(r'[":*“”„«»：＂＊\x00-\x1f\x7f-\x9f]')
_OPERATOR = re.compile(r"\b(?:AND|OR|NOT)\b")
_SIGN = re.compile(r"(?<!\S)[-+]+(?=\S)")
_ID = re.compile(r"[0-9A-Za-z]{22}")
_ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")
_TOKEN = re.compile(r"[!-~]{1,4096}")
_TOKEN_MARGIN_S = 60
_TEXT_LENGTH = 300


@dataclass(frozen=True)
class SpotifyConfig:
    """How Spotify is asked. Without both credentials it is not asked at all.

    budget_s: seconds that a look-up may take. api_url, accounts_url: for tests and proxies.
    """

    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    budget_s: float = 2.5
    api_url: str = "https://api.spotify.com/v1"
    accounts_url: str = "https://accounts.spotify.com"
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Candidate:
    """A track of Spotify's. None: it does not say, as it does of popularity (0–100) in development mode."""

    id: str
    name: str
    artists: tuple[str, ...]
    isrc: str | None
    popularity: int | None
    duration_ms: int | None
    year: int | None


@dataclass(frozen=True)
class Found:
    """What became of a look-up. candidates: in Spotify's order, none unless found; cached: not asked anew."""

    outcome: Outcome
    reason: str
    candidates: tuple[Candidate, ...] = ()
    cached: bool = False
    ms: float = 0.0


class Spotify:
    """Spotify, as this process sees it. Makes no connection until it is asked."""

    def __init__(self, connection: redis.Redis, config: SpotifyConfig) -> None:
        """Take a connection, best a `producer.connections.quick` one: a patient one may outlast the budget."""
        self._service: Service | None = None
        if not (config.client_id and config.client_secret):
            return
        # Another pair of credentials is another account to Spotify: it shares neither token nor breaker with this one.
        account = hashlib.sha256(f"{config.client_id}\n{config.client_secret}".encode()).hexdigest()[:12]
        self._service = Service(
            f"spotify:{account}",
            connection,
            budget_s=config.budget_s,
            limits=config.limits,
            hit_ttl_s=keys.SPOTIFY_HIT_TTL_S,
            miss_ttl_s=keys.SPOTIFY_MISS_TTL_S,
        )
        session = self._service.session
        self._tokens = _Tokens(connection, session, config, account)
        # It logs headers, and with them tokens, at DEBUG, and what people search for at ERROR.
        logging.getLogger("spotipy").setLevel(logging.CRITICAL)
        self._client = spotipy.Spotify(auth_manager=self._tokens, requests_session=session)
        self._client.prefix = config.api_url.rstrip("/") + "/"

    def find(self, name: str, artist: str | None = None, budget_s: float | None = None) -> Found:
        """Search for a song; choosing among the candidates is the caller's.

        budget_s: seconds, where there are fewer left than the configured ones.
        """
        if self._service is None:
            return Found("skipped", "not configured")
        query = search_query(name, artist)
        if not query:
            return Found("no_match", "nothing in the name to search for")
        digest = hashlib.sha256(query.casefold().encode()).hexdigest()[:32]
        answer = self._service.look_up(
            keys.SPOTIFY_SEARCH.format(digest=digest), partial(self._search, query), budget_s
        )
        candidates = tuple(Candidate(**{**c, "artists": tuple(c["artists"])}) for c in answer.value or ())
        return Found(answer.outcome, answer.reason, candidates, answer.cached, answer.ms)

    def close(self) -> None:
        """Close the connections to Spotify."""
        if self._service:
            self._service.close()

    def _search(self, query: str, call: Call) -> list[dict[str, Any]] | None:
        search = partial(self._client.search, query, limit=_RESULTS, type="track")
        try:
            try:
                answer = search()
            except Refused as error:
                if error.status != 401 or isinstance(error, _CredentialsRefused):
                    raise
                self._tokens.refused()
                call.permit()
                answer = search()
        except RecursionError as error:
            raise Rubbish("rubbish answer: nested too deep") from error
        return [asdict(candidate) for candidate in candidates_in(answer)] or None


class _CredentialsRefused(Refused):
    """The credentials themselves, where another 401 only says that a token has run out."""


class _Tokens:
    """The application's access token, shared by all workers: what spotipy calls an auth manager.

    Knows by thread which token was refused, as each look-up has a thread of its own.
    """

    def __init__(self, connection: redis.Redis, session: Session, config: SpotifyConfig, account: str) -> None:
        self._connection, self._session, self._config = connection, session, config
        self._key = keys.SPOTIFY_ACCESS.format(account=account)
        self._lock = keys.SPOTIFY_ACCESS_LOCK.format(account=account)
        self._here = threading.local()

    def get_access_token(self, as_dict: bool = False) -> str:
        """Return a token that was not refused to this thread; ask for one if need be, one worker at a time.

        Raises: OutsideError, redis.RedisError.
        """
        token = self._kept()
        if token is None:
            left_s = max(self._session.left_s(), 0.05)
            lock = self._connection.lock(self._lock, timeout=left_s, sleep=0.02, thread_local=False)
            if not lock.acquire(blocking_timeout=left_s):
                raise TooSlow("another worker is waiting for a token")
            try:
                token = self._kept() or self._fetch()
            finally:
                with suppress(redis.exceptions.LockError):  # it has run out: nobody is kept out
                    lock.release()
        self._here.given = token
        return token

    def refused(self) -> None:
        """Say that Spotify refused the token that this thread was given last."""
        self._here.refused = self._here.given

    def _kept(self) -> str | None:
        packed = self._connection.get(self._key)
        try:
            token = codec.unpack(packed) if isinstance(packed, bytes) else None
        except BadMessage:
            return None
        return token if isinstance(token, str) and token != getattr(self._here, "refused", None) else None

    def _fetch(self) -> str:
        """Ask for a token (OAuth 2.0 client credentials, RFC 6749 §4.4) and keep it for all workers."""
        config = self._config
        pair = f"{config.client_id}:{config.client_secret}"
        try:
            response = self._session.post(
                config.accounts_url.rstrip("/") + "/api/token",
                data={"grant_type": "client_credentials"},
                headers={"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"},
            )
        except Refused as error:
            if error.status in (400, 401):  # Spotify says 400 invalid_client, where others say 401
                raise _CredentialsRefused(401, error.body, error.retry_after_s) from error
            raise
        answer = read_json(response)
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not (isinstance(token, str) and _TOKEN.fullmatch(token) and _is_int(answer.get("expires_in"), 1, 86_400)):
            raise Rubbish("rubbish answer: no token")
        self._connection.set(self._key, codec.pack(token), ex=max(answer["expires_in"] - _TOKEN_MARGIN_S, 1))
        return token


def search_query(name: str, artist: str | None) -> str:
    """Return the search for a song in Spotify's syntax, or "" if nothing of the name is left to search for.

    Nothing in a name can be syntax: quotes, colons and asterisks become spaces, signs before a word go, and the
    operators AND, OR and NOT, which count in capitals only, are put in small letters.
    """
    bare_name, bare_artist = _bare(name, _NAME_LENGTH), _bare(artist or "", _ARTIST_LENGTH)
    if not bare_name:
        return ""
    return f"track:{bare_name} artist:{bare_artist}" if bare_artist else f"track:{bare_name}"


def candidates_in(answer: Any) -> Iterator[Candidate]:
    """Yield the tracks of a search's answer, each field checked; what is no track is left out.

    Raises: Rubbish if it is no search's answer, or it has entries and not one of them is a track.
    """
    tracks = answer.get("tracks") if isinstance(answer, dict) else None
    items = tracks.get("items") if isinstance(tracks, dict) else None
    if not isinstance(items, list):
        raise Rubbish("rubbish answer: no tracks")
    usable = False
    for item in items[:_RESULTS]:
        candidate = _candidate(item) if isinstance(item, dict) else None
        if candidate:
            usable = True
            yield candidate
    if not usable and any(item is not None for item in items):
        raise Rubbish("rubbish answer: entries that are no tracks")


def _candidate(item: dict[str, Any]) -> Candidate | None:
    track_id, name = item.get("id"), _text(item.get("name"))
    if not (isinstance(track_id, str) and _ID.fullmatch(track_id) and name):
        return None
    listed = item.get("artists")
    artists = [_text(a.get("name")) for a in listed[:20] if isinstance(a, dict)] if isinstance(listed, list) else []
    ids, album = item.get("external_ids"), item.get("album")
    isrc = str(ids.get("isrc")).upper().replace("-", "") if isinstance(ids, dict) else ""
    released = str(album.get("release_date"))[:4] if isinstance(album, dict) else ""
    popularity, duration_ms = item.get("popularity"), item.get("duration_ms")
    return Candidate(
        id=track_id,
        name=name,
        artists=tuple(a for a in artists if a),
        isrc=isrc if _ISRC.fullmatch(isrc) else None,
        popularity=popularity if _is_int(popularity, 0, 100) else None,
        duration_ms=duration_ms if _is_int(duration_ms, 1, 86_400_000) else None,
        year=int(released) if re.fullmatch(r"[12][0-9]{3}", released) else None,
    )


def _bare(text: str, length: int) -> str:
    words = _SYNTAX.sub(" ", text.encode("utf-8", "ignore").decode())
    words = _OPERATOR.sub(lambda found: found[0].lower(), _SIGN.sub("", words))
    return " ".join(words.split())[:length].strip()


def _text(value: Any) -> str | None:
    """Return a text of somebody else's in one line, shortened, without halves of characters; None if it is none."""
    return " ".join(value[:_TEXT_LENGTH].encode("utf-8", "ignore").decode().split()) if isinstance(value, str) else None


def _is_int(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
