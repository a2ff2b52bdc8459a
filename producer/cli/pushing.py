"""What `push` does: read the file, log in if need be, push, and say how it went."""

from __future__ import annotations

import fcntl
import re
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

import settings
from producer.cli.errors import INTERRUPTED, NO_SERVICE, OK, SOME_FAILED, USAGE
from producer.cli.show import clean
from producer.playlists import reading
from producer.playlists.documents import OURS
from producer.spotify_account import BLOCK, MOST_SONGS, Account, AccountError, LoginNeeded
from producer.spotify_login import LOGIN_S, Login, LoginConfig, listening, pasted
from producer.spotify_push import BadState, Push, State, Wish, read_state, refused_songs, state_file
from producer.walled_http import Session

_MOST_BYTES = 32_000_000
_NAME_LENGTH, _DESCRIPTION_LENGTH = 100, 300
_ID = re.compile(r"[0-9A-Za-z]{22}")
_INVENTED = "demo"
"""What the ids of the demo catalogue begin with. They look like Spotify's."""


@dataclass(frozen=True)
class Wanted:
    """What the command line says. name None: the file's; kind None: the file tells; new: whatever was pushed before."""

    file: Path
    name: str | None
    public: bool
    description: str
    kind: str | None
    new: bool
    dry_run: bool


def run(wanted: Wanted, browser: bool, paste: bool) -> int:
    """Do it. browser: open one without asking; paste: log in with one elsewhere. → the exit code."""
    try:
        with _alone(wanted.file):
            return _run(wanted, browser, paste)
    except (_Usage, BadState, settings.BadSettings) as error:
        _say(_sentence(str(error)))
        return USAGE
    except AccountError as error:
        _say(f"{_sentence(str(error))} Run the same again to go on.")
        return NO_SERVICE
    except (KeyboardInterrupt, typer.Abort):
        _say("Interrupted. Run the same again to go on.")
        return INTERRUPTED


def _run(wanted: Wanted, browser: bool, paste: bool) -> int:
    wish, passed_over = _wish(wanted)
    for line in passed_over:
        _say(line)
    if not wish.uris:
        _say(f"No song of {wanted.file} has a Spotify id: there is nothing to push.")
        return SOME_FAILED
    kept = state_file(wanted.file)
    state = None if wanted.new else read_state(kept, wish)
    if wanted.dry_run:
        _say_plan(wish, state)
        return SOME_FAILED if passed_over else OK
    if state and state.finished:
        _say(f"All {state.inside} songs are in your account already; --new makes another playlist.")
    else:
        state = _pushed(kept, wish, state, browser, paste)
    for uri in refused_songs(wish, state):
        _say(f"{uri}: Spotify does not take it")
    typer.echo(state.url)
    return SOME_FAILED if passed_over or state.refused else OK


class _Usage(Exception):
    """What was asked for cannot be done so."""


def _pushed(kept: Path, wish: Wish, state: State | None, browser: bool, paste: bool) -> State:
    config = settings.load()
    if not config.spotipy_client_id:
        raise _Usage(
            "SPOTIPY_CLIENT_ID is not set: it is the client id of an app of yours at developer.spotify.com/dashboard "
            "(docs/howto/spotify-account.md)"
        )
    with Session() as session:
        login = Login(
            session,
            LoginConfig(
                config.spotipy_client_id,
                config.segue_home / "spotify-account.json",
                config.spotify_redirect_port,
                config.spotify_accounts_url,
            ),
        )
        run = Push(Account(session, login, config.spotify_api_url), wish, kept, state, _say)
        try:
            return run.run()
        except LoginNeeded as error:
            _say(_sentence(str(error)))
        _log_in(login, browser, paste)
        return run.run()


def _log_in(login: Login, browser: bool, paste: bool) -> None:
    """Have the user log in. Raises: AccountError."""
    address, state = login.begin()
    if paste:
        _say(f"Open this address in a browser, on any machine:\n\n{address}\n")
        _say(
            f"It ends at an address that begins with {login.config.redirect_uri}, which may not load. Paste that here:"
        )
        login.finish(pasted(sys.stdin, state, LOGIN_S))
    else:
        with listening(login.config, state, _say) as callback:
            _say(f"Open this address in a browser of this machine, within {LOGIN_S / 60:.0f} minutes:\n\n{address}\n")
            if browser or (sys.stdin.isatty() and typer.confirm("Open it now?", err=True)):
                webbrowser.open(address)
            elif sys.stdin.isatty():
                _say("Waiting for it. If there is no browser here: Ctrl-C, and again with --paste.")
            code = callback.wait(LOGIN_S)
        login.finish(code)
    _say(f"Logged in. The permission is kept in {login.config.token_file}.")


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Keep other pushes of the same file out. Raises: _Usage."""
    try:
        if not file.is_file():
            raise _Usage(f"there is no file {file}")
        opened = file.open("rb")
    except OSError as error:
        raise _Usage(f"cannot read {file} ({error.strerror})") from error
    with opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _Usage(f"another process is pushing {file} already") from None
        except OSError:  # a file system without locks
            pass
        yield


def _wish(wanted: Wanted) -> tuple[Wish, list[str]]:
    """Read the file. → what is to be pushed, and why some of it cannot be, a line each. Raises: _Usage."""
    file = wanted.file
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise _Usage(f"this is no playlist: {file} has over {_MOST_BYTES // 1_000_000} MB")
        read = reading.read(reading.text_of(file.read_bytes()), wanted.kind, file.name, prefer="id")
    except OSError as error:
        raise _Usage(f"cannot read {file} ({error.strerror})") from error
    except ValueError as error:  # UnreadablePlaylist is one
        raise _Usage(f"cannot read {file}: {error}") from error
    uris, passed_over = [], []
    for row in read.rows:
        seed = row.seed or {}
        track = seed.get("track_id", "")
        invented = track.startswith(_INVENTED) and not _is_linked(track, row.source)
        if _ID.fullmatch(track) and OURS not in row.source and not invented:  # in OURS an id is the catalogue's own
            uris.append(f"spotify:track:{track}")
        else:
            song = " - ".join(seed[field] for field in ("name", "artist", "track_id") if field in seed)
            why = "invented, of the demo catalogue" if invented else "no Spotify id"
            passed_over.append(f"row {row.number}: {row.error or f'{song}: {why}'}")
    if len(uris) > MOST_SONGS:
        raise _Usage(f"a playlist of Spotify's has {MOST_SONGS} songs at most, and {file} has {len(uris)}")
    name = (file.stem if wanted.name is None else wanted.name).strip()
    if not 0 < len(name) <= _NAME_LENGTH or not name.isprintable():
        raise _Usage(f"--name: a name has 1 to {_NAME_LENGTH} characters, in one line")
    if len(wanted.description) > _DESCRIPTION_LENGTH or not wanted.description.isprintable():
        raise _Usage(f"--description: {_DESCRIPTION_LENGTH} characters at most, in one line")
    return Wish(name, tuple(uris), wanted.public, wanted.description), passed_over


def _is_linked(track: str, source: str) -> bool:
    """Whether a row names a track by Spotify's own URI or URL, and not by its id alone."""
    return bool(re.search(rf"spotify(?::|\.com/(?:[\w-]+/)*)track[:/]{re.escape(track)}", source))


def _say_plan(wish: Wish, state: State | None) -> None:
    done = state.done if state else 0
    left = len(wish.uris) - done
    if state and state.url:
        _say(f"Would go on with {state.name!r}, {state.url}: {done} of {len(wish.uris)} songs are in it.")
    else:
        _say(f"Would make the {'public' if wish.public else 'private'} playlist {wish.name!r}.")
    _say(f"Would add {left} songs in {-(-left // BLOCK)} requests. Nothing was sent.")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _say(text: str) -> None:
    """Tell the one who pushes. A title must not steer the terminal."""
    typer.echo("\n".join(clean(line) for line in text.split("\n")), err=True)
