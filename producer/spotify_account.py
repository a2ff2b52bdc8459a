"""The Spotify account of whoever has logged in: its playlists, through the Web API as it is since 2026.

AccountError
├── LoginNeeded    there is no permission for an account, or it has ended
├── LoginFailed    the login was refused, or not done in time
├── NotAllowed     Spotify does not let this app, or this account, do it
├── Busy           too many requests; retry_after_s
│   └── OutOfQuota the quota of the app's owner is used up
├── Unsure         no answer, or none that can be used: what was asked for may have been done
├── Wrong          Spotify refuses the request itself; status
└── Changed        the playlist is not as it was left
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import spotipy  # type: ignore[import-untyped]

from producer.walled_http import OutsideError, Refused, Session

REQUEST_S = 30.0
"""How long a request may take, all in all."""

BLOCK = 100
"""Songs that one request adds at most."""

MOST_SONGS = 10_000
"""Of a playlist of Spotify's."""

_PAGE = 50
_MOST_PLAYLISTS = 1000
_SHOWN = 200
_ID = re.compile(r"[0-9A-Za-z]{1,64}")


class AccountError(Exception):
    """Root of what can go wrong with an account. Its message is for the one who pushes."""


class LoginNeeded(AccountError):
    """There is no permission for an account, or it has ended."""


class LoginFailed(AccountError):
    """The login was refused, or not done in time."""


class NotAllowed(AccountError):
    """Spotify does not let this app, or this account, do it."""


class Busy(AccountError):
    """Too many requests. Nothing was done."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class OutOfQuota(Busy):
    """The quota of the app's owner is used up."""


class Unsure(AccountError):
    """No answer, or none that can be used: what was asked for may have been done."""


class Wrong(AccountError):
    """Spotify refuses the request itself."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Changed(AccountError):
    """The playlist is not as it was left."""


class Login(Protocol):
    """What knows the permission (`producer.spotify_login.Login`)."""

    def access_token(self) -> str:
        """Return a token that holds. Raises: AccountError."""

    def refused(self) -> None:
        """Take note that Spotify refused the token given last."""


@dataclass(frozen=True)
class Made:
    """A playlist in the account."""

    id: str

    @property
    def url(self) -> str:
        """Where to see it."""
        return f"https://open.spotify.com/playlist/{self.id}"


class Account:
    """The account, as the Web API shows it. Every call is one request, or one a page, and raises AccountError."""

    def __init__(self, session: Session, login: Login, api_url: str) -> None:
        self._session, self._login = session, login
        self._spotify = spotipy.Spotify(requests_session=session)
        self._spotify.prefix = api_url.rstrip("/") + "/"

    def user(self) -> str:
        """Return the id of whose account it is."""
        return _text(self._ask(self._spotify.current_user), "id")

    def create(self, name: str, public: bool, description: str) -> Made:
        """Make an empty playlist."""
        return _made(
            self._ask(lambda: self._spotify.current_user_playlist_create(name, public=public, description=description))
        )

    def find_empty(self, name: str, user: str) -> Made | None:
        """Return a playlist of the user's of that name with nothing in it, if there is one."""
        for entry in self._pages(lambda at: self._spotify.current_user_playlists(_PAGE, at), 0, _MOST_PLAYLISTS):
            # What is in it came under `tracks` before 2026.
            inside, owner = entry.get("items", entry.get("tracks")), entry.get("owner")
            if (
                entry.get("name") == name
                and isinstance(owner, dict)
                and owner.get("id") == user
                and isinstance(inside, dict)
                and inside.get("total") == 0
            ):
                return _made(entry)
        return None

    def add(self, playlist_id: str, uris: Sequence[str]) -> str:
        """Put up to BLOCK songs at the end of a playlist. → the id of its new snapshot."""
        return _text(self._ask(lambda: self._spotify.playlist_add_items(playlist_id, list(uris))), "snapshot_id")

    def songs(self, playlist_id: str, start: int) -> list[str | None]:
        """Return the URIs of a playlist's songs from place `start` (from 0) on; None: Spotify shows none."""
        pages = self._pages(lambda at: self._spotify.playlist_items(playlist_id, limit=_PAGE, offset=at), start)
        return [_uri(entry) for entry in pages]

    def count(self, playlist_id: str) -> int:
        """Return how many songs a playlist has."""
        return _total(self._ask(lambda: self._spotify.playlist_items(playlist_id, limit=1)))

    def _pages(
        self, page: Callable[[int], Any], start: int, most: int = MOST_SONGS + BLOCK
    ) -> Iterator[dict[str, Any]]:
        """Yield the entries of all pages. Follows no address of the answer's: a token would go along."""
        at, total = start, start + 1
        while at < min(total, most):
            answer = self._ask(lambda: page(at))  # noqa: B023 — asked at once
            total, items = _total(answer), answer.get("items")
            if not isinstance(items, list) or (not items and at < total):
                raise Unsure("Spotify's answer cannot be read: a page without entries")
            yield from (entry if isinstance(entry, dict) else {} for entry in items)
            at += len(items)

    def _ask(self, call: Callable[[], Any]) -> dict[str, Any]:
        """Ask, once more with another token if this one is refused. → the answer, a JSON object."""
        for last in (False, True):
            self._spotify.set_auth(self._login.access_token())
            try:
                with self._session.until(time.monotonic() + REQUEST_S):
                    answer = call()
            except Refused as error:
                if error.status != 401:
                    raise verdict(error) from error
                self._login.refused()
                if last:
                    raise LoginNeeded("Spotify refuses the permission that it gave: log in again") from error
                continue
            except (OutsideError, RecursionError) as error:
                raise unsure(error) from error
            if not isinstance(answer, dict):
                raise Unsure("Spotify's answer cannot be read: it is no JSON object")
            return answer
        raise AssertionError("unreachable")


def unsure(error: Exception) -> Unsure:
    """Return how to say that no usable answer came."""
    return Unsure(f"Spotify does not answer as it should ({str(error) or type(error).__name__})")


def verdict(error: Refused) -> AccountError:
    """Return what a refusal means, in words that say what to do."""
    message, reason = _said(error.body)
    said = f"{message} {reason}".casefold()
    match error.status:
        case 429 if "quota_exceeded" in said:
            return OutOfQuota("the quota of the app's owner at Spotify is used up", error.retry_after_s)
        case 429:
            return Busy(f"Spotify asks to wait for {error.retry_after_s:.0f} s", error.retry_after_s)
        case 403 if "premium" in said:
            return NotAllowed("Spotify wants the owner of the app (of the client id) to have Premium")
        case 403 if "not registered" in said or "allowlist" in said or "not approved" in said:
            return NotAllowed(
                "this account is not among the app's users: its owner can add it, as one of five, under "
                "developer.spotify.com/dashboard, User Management"
            )
        case 403 if "scope" in said:
            return LoginNeeded("the permission does not cover playlists: log in again, and allow what is asked for")
        case 403:
            return NotAllowed(f"Spotify does not allow it ({message or 'it does not say why'})")
        case 404:
            return Wrong("the playlist is not there any more", 404)
        case status if status >= 500 or status < 400 or status == 408:
            return Unsure(f"Spotify is unwell (status {status})")
        case status:
            return Wrong(f"Spotify refuses the request (status {status}: {message or 'it does not say why'})", status)


def _said(body: str) -> tuple[str, str]:
    """Return the message and the reason of an error's body; the body's beginning, if it has none."""
    try:
        error = json.loads(body)["error"]
        return _line(str(error.get("message") or "")), _line(str(error.get("reason") or ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return _line(body), ""


def _line(text: str) -> str:
    """Return the beginning of a text of somebody else's in one line, safe to print."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_SHOWN]


def _made(answer: dict[str, Any]) -> Made:
    playlist_id = _text(answer, "id")
    if not _ID.fullmatch(playlist_id):
        raise Unsure("Spotify's answer cannot be read: its id is none")
    return Made(playlist_id)


def _uri(entry: dict[str, Any]) -> str | None:
    song = entry.get("item", entry.get("track"))  # `track` before 2026
    uri = song.get("uri") if isinstance(song, dict) else None
    return uri if isinstance(uri, str) else None


def _text(answer: dict[str, Any], field: str) -> str:
    value = answer.get(field)
    if not (isinstance(value, str) and 0 < len(value) <= _SHOWN and value.isprintable()):
        raise Unsure(f"Spotify's answer cannot be read: it has no {field}")
    return value


def _total(answer: dict[str, Any]) -> int:
    total = answer.get("total")
    if not isinstance(total, int) or isinstance(total, bool) or total < 0:
        raise Unsure("Spotify's answer cannot be read: it has no total")
    return total
