"""Put songs into a playlist of a Spotify account, in blocks, so that it can be gone on with and adds nothing twice.

How far it has come stands in a file, written after each answer. What was asked for and not answered may have been done
or not: before anything is added after that, the playlist is read back, and what it has is what counts.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from producer import files
from producer.spotify_account import (
    BLOCK,
    MOST_SONGS,
    Account,
    AccountError,
    Busy,
    Changed,
    Made,
    OutOfQuota,
    Unsure,
    Wrong,
)

LONGEST_PAUSE_S = 60.0
"""A Retry-After that is waited for; a longer one is said, and the rest left to another run."""

_TRIES = 5
"""How often in a row something may go wrong."""

_FIRST_PAUSE_S = 1.0
_MOST_REFUSED = 20
_VERSION = 1

T = TypeVar("T")


class BadState(Exception):
    """What is kept of an earlier push does not go with this one. The message says what to do."""


@dataclass(frozen=True)
class Wish:
    """A playlist to be made. uris: `spotify:track:…`, in order."""

    name: str
    uris: tuple[str, ...]
    public: bool = False
    description: str = ""

    @property
    def digest(self) -> str:
        """What tells these songs, in this order, from others."""
        return hashlib.sha256("\n".join(self.uris).encode()).hexdigest()


@dataclass
class State:
    """How far a push has come. done: so many of the songs are in the playlist or refused, all others are not.

    refused: places (from 0) of songs that Spotify does not take. blocks: what was added, with the snapshot's id.
    playlist_id None: it was asked for at most.
    """

    digest: str
    user: str
    name: str
    public: bool
    description: str
    playlist_id: str | None = None
    done: int = 0
    refused: list[int] = field(default_factory=list)
    blocks: list[dict[str, Any]] = field(default_factory=list)
    finished: bool = False
    version: int = _VERSION

    @property
    def inside(self) -> int:
        """How many songs the playlist has to have."""
        return self.done - len(self.refused)

    @property
    def url(self) -> str:
        """Where to see the playlist; empty if there is none yet."""
        return Made(self.playlist_id).url if self.playlist_id else ""


def state_file(playlist: Path) -> Path:
    """Return where to keep how far the push of a playlist's file has come: beside it."""
    return playlist.with_name(playlist.name + ".push.json")


def read_state(path: Path, wish: Wish) -> State | None:
    """Return what is kept of an earlier push of the same songs; None: nothing. Raises: BadState."""
    anew = "--new begins with a new playlist"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        state = State(**kept)
        sound = (
            state.version == _VERSION
            and isinstance(state.digest, str)
            and 0 <= len(state.refused) <= state.done <= MOST_SONGS
        )
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadState(f"cannot read {path} ({error.strerror})") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise BadState(f"what was kept in {path} is damaged; {anew}") from error
    if not sound:
        raise BadState(f"what was kept in {path} is damaged, or of another version; {anew}")
    if state.digest != wish.digest:
        raise BadState(f"other songs were pushed from this file before ({path.name}); {anew}")
    return state


def write_state(path: Path, state: State) -> None:
    """Keep how far it has come, so that a crash leaves the old or the new. Raises: BadState."""
    try:
        with files.whole(path, lasting=True) as file:
            file.write(json.dumps(asdict(state), indent=1).encode())
    except OSError as error:
        raise BadState(f"cannot write {path} ({error.strerror}); push keeps there how far it has come") from error


class Push:
    """One run. say: is told of what goes on, a line each."""

    def __init__(
        self, account: Account, wish: Wish, path: Path, state: State | None, say: Callable[[str], None]
    ) -> None:
        """path: of the state's file. state: what an earlier run has left."""
        self._account, self._wish, self._path, self._say = account, wish, path, say
        self.state = state
        self._failed = 0

    def run(self) -> State:
        """Make the playlist, or go on with it, until all songs are in. May be called again after an AccountError.

        Raises: AccountError, BadState; then another run goes on from there.
        """
        user, sure = self._ask(self._account.user), self.state is None
        wish = self._wish
        self.state = state = self.state or State(wish.digest, user, wish.name, wish.public, wish.description)
        if state.user != user:
            raise BadState(
                f"this was begun in the account {state.user!r}, and this is {user!r}; --new begins with a new playlist"
            )
        if state.playlist_id is None:
            self._make(state, sure)
        else:
            self._look_back(state)
        self._fill(state)
        there = self._ask(lambda: self._account.count(_id(state)))
        if there != state.inside:
            raise Changed(
                f"the playlist has {there} songs where {state.inside} were put: somebody else has changed it, or a "
                f"request was done late; look at {state.url}"
            )
        state.finished = True
        write_state(self._path, state)
        return state

    def _make(self, state: State, sure: bool) -> None:
        """Make the playlist. sure: it has not been asked for yet."""
        while state.playlist_id is None:
            found = None
            if sure:
                write_state(self._path, state)
            else:  # one without songs, of this name, is as good as a new one
                found = self._ask(lambda: self._account.find_empty(state.name, state.user))
            try:
                made = found or self._account.create(state.name, state.public, state.description)
            except Unsure as error:
                sure = False
                self._pause(error)
            except Busy as error:
                self._pause(error)
            else:
                state.playlist_id = made.id
        write_state(self._path, state)
        self._say(f"The playlist {state.name!r} is made: {state.url}")

    def _fill(self, state: State) -> None:
        """Add what is not in the playlist yet."""
        size = BLOCK
        while state.done < len(self._wish.uris):
            first = state.done
            block = self._wish.uris[first : first + size]
            try:
                snapshot = self._account.add(_id(state), block)
            except Busy as error:
                self._pause(error)
            except Unsure as error:
                self._pause(error)
                self._look_back(state)
            except Wrong as error:
                # Spotify does not say which song it does not take: it is looked for by halves.
                if error.status != 400:
                    raise
                if len(block) > 1:
                    size = len(block) // 2
                    continue
                self._refuse(state, error)
            else:
                self._added(state, len(block), snapshot)
                size = min(2 * size, BLOCK)

    def _look_back(self, state: State) -> None:
        """Read what the playlist has after what is known to be in it, and count that in.

        Raises: Changed if it is anything else than the next songs of this push.
        """
        start = state.inside
        there = self._ask(lambda: self._account.count(_id(state)))
        tail = self._ask(lambda: self._account.songs(_id(state), start)) if there > start else []
        due = self._wish.uris[state.done : state.done + BLOCK]
        if (
            there < start
            or len(tail) > len(due)
            or any(song not in (None, uri) for song, uri in zip(tail, due, strict=False))
        ):
            raise Changed(
                f"the playlist is not as it was left: {start} songs of this file were put there, and now it has "
                f"{there}, or others; nothing was added. See {state.url}; --new begins with a new playlist"
            )
        if tail:
            self._added(state, len(tail), None)

    def _added(self, state: State, count: int, snapshot: str | None) -> None:
        state.blocks.append({"first": state.done, "songs": count, "snapshot_id": snapshot})
        state.done += count
        self._failed = 0
        write_state(self._path, state)
        self._say(f"{state.done} of {len(self._wish.uris)} songs")

    def _refuse(self, state: State, error: Wrong) -> None:
        if len(state.refused) >= _MOST_REFUSED:
            raise error
        state.refused.append(state.done)
        state.done += 1
        write_state(self._path, state)

    def _ask(self, call: Callable[[], T]) -> T:
        """Ask for what can be asked for again."""
        while True:
            try:
                return call()
            except (Busy, Unsure) as error:
                self._pause(error)

    def _pause(self, error: AccountError) -> None:
        """Wait as long as is due, or raise the error if that is too long, or it has been too often."""
        self._failed += 1
        pause_s = error.retry_after_s if isinstance(error, Busy) else _FIRST_PAUSE_S * 2 ** (self._failed - 1)
        if self._failed >= _TRIES or pause_s > LONGEST_PAUSE_S or isinstance(error, OutOfQuota):
            raise error
        self._say(f"{error}; going on in {pause_s:.0f} s")
        time.sleep(pause_s)


def refused_songs(wish: Wish, state: State) -> Sequence[str]:
    """Return the URIs that Spotify did not take."""
    return [wish.uris[place] for place in state.refused]


def _id(state: State) -> str:
    if state.playlist_id is None:
        raise AssertionError("it is made by now")
    return state.playlist_id
