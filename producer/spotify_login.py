"""Get a user's permission to write playlists: Authorization Code with PKCE (RFC 7636, RFC 8252), without a secret.

The user's browser is sent to Spotify with an address of ours; Spotify sends it back to 127.0.0.1 with a code, which
only who has made the address can turn into a token. What is kept is one file, for this user alone to read.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import select
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qs, urlsplit

from spotipy.cache_handler import CacheHandler  # type: ignore[import-untyped]
from spotipy.oauth2 import SpotifyPKCE  # type: ignore[import-untyped]

from producer.spotify_account import REQUEST_S, LoginFailed, LoginNeeded, Unsure, unsure, verdict
from producer.walled_http import OutsideError, Refused, Session

SCOPE = "playlist-modify-private playlist-modify-public playlist-read-private"
"""Making and filling playlists, and reading back what is in a private one."""

LOGIN_S = 300.0
"""How long the user has to log in."""

_LOOKS, _LOOK_S = 10, 0.1
_PATH = "/callback"
_CODE_LENGTH = 4096
_PAGE = "<!doctype html><meta charset=utf-8><title>Segue</title><p>{text}"


@dataclass(frozen=True)
class LoginConfig:
    """Who asks, and where. port: of 127.0.0.1, where the browser is sent back to; token_file: what is kept."""

    client_id: str
    token_file: Path
    port: int = 8888
    accounts_url: str = "https://accounts.spotify.com"

    @property
    def redirect_uri(self) -> str:
        """The address that has to stand, letter by letter, among the app's redirect URIs."""
        return f"http://127.0.0.1:{self.port}{_PATH}"


class TokenFile(CacheHandler):  # type: ignore[misc]
    """The tokens of one app, in a file of mode 0600, replaced as a whole."""

    def __init__(self, path: Path, client_id: str) -> None:
        self.path, self._client_id = path, client_id

    def get_cached_token(self) -> dict[str, Any] | None:
        """Return the tokens; None: there are none that are of use to this app."""
        try:
            kept = json.loads(self.path.read_text(encoding="utf-8"))
            token: dict[str, Any] = kept["token"]
            return token if kept["client_id"] == self._client_id and _usable(token) else None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def save_token_to_cache(self, token_info: dict[str, Any]) -> None:
        """Keep the tokens. Raises: Unsure if they are none, LoginFailed if they cannot be kept."""
        token_info.setdefault("scope", SCOPE)  # may be left out if it is what was asked for (RFC 6749 §5.1)
        if not _usable(token_info):
            raise Unsure("Spotify's answer cannot be read: it has no token")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=self.path.name)  # of mode 0600 from the start
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"client_id": self._client_id, "token": token_info}, file)
            Path(name).replace(self.path)
        except OSError as error:
            raise LoginFailed(f"the permission cannot be kept in {self.path} ({error.strerror})") from error


class Login:
    """A permission, with what it takes to get and to refresh it."""

    def __init__(self, session: Session, config: LoginConfig) -> None:
        # It logs codes, headers, and with them tokens, at DEBUG.
        logging.getLogger("spotipy").setLevel(logging.CRITICAL)
        self.config = config
        self._session, self._file = session, TokenFile(config.token_file, config.client_id)
        self._pkce = SpotifyPKCE(
            config.client_id,
            config.redirect_uri,
            scope=SCOPE,
            cache_handler=self._file,
            requests_session=session,
            open_browser=False,
        )
        accounts = config.accounts_url.rstrip("/")
        self._pkce.OAUTH_AUTHORIZE_URL, self._pkce.OAUTH_TOKEN_URL = f"{accounts}/authorize", f"{accounts}/api/token"
        self._given = self._refused = ""

    def access_token(self) -> str:
        """Return a token that holds, refreshed if need be. Raises: AccountError; of these LoginNeeded."""
        token = self._file.get_cached_token()
        if token is None:
            raise LoginNeeded("Segue has no permission for a Spotify account yet")
        if token["access_token"] == self._refused or self._pkce.is_token_expired(token):
            token = self._refreshed(token)
        self._given = str(token["access_token"])
        return self._given

    def refused(self) -> None:
        """Take note that Spotify refused the token given last: the next one is another."""
        self._refused = self._given

    def begin(self) -> tuple[str, str]:
        """Begin to log in. → the address that the user has to open, and the state that the answer has to bring."""
        state = secrets.token_urlsafe(24)
        self._pkce.get_pkce_handshake_parameters()
        return str(self._pkce.get_authorize_url(state)), state

    def finish(self, code: str) -> None:
        """Turn the code of the answer into a token, and keep it. Raises: AccountError."""
        try:
            self._tokens(lambda: self._pkce.get_access_token(code, check_cache=False))
        except Refused as error:
            if error.status in (400, 401):
                raise LoginFailed(f"Spotify does not take the answer to the login: {_reason(error)}") from error
            raise verdict(error) from error

    def _refreshed(self, token: dict[str, Any]) -> dict[str, Any]:
        try:
            return dict(self._tokens(lambda: self._pkce.refresh_access_token(token["refresh_token"])))
        except Refused as error:
            if error.status not in (400, 401):
                raise verdict(error) from error
            # Refresh tokens can be used once: another process may have been first, and about to keep the next one.
            for _ in range(_LOOKS):
                newer = self._file.get_cached_token()
                if newer and newer["refresh_token"] != token["refresh_token"]:
                    return newer
                time.sleep(_LOOK_S)
            raise LoginNeeded(
                "the permission has ended: Spotify ends it after six months, or you have withdrawn it"
                if "invalid_grant" in error.body
                else f"Spotify does not renew the permission: {_reason(error)}"
            ) from error

    def _tokens(self, call: Callable[[], Any]) -> Any:
        """Ask for tokens, which `TokenFile` checks. Raises: Refused, AccountError."""
        try:
            with self._session.until(time.monotonic() + REQUEST_S):
                return call()
        except Refused:
            raise
        except OutsideError as error:
            raise unsure(error) from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise Unsure("Spotify's answer cannot be read: it has no token") from error


def code_in(address: str, state: str) -> str:
    """Return the code in the address that Spotify sent the browser back to.

    Raises: LoginNeeded if it does not answer this login, LoginFailed if the user said no.
    """
    try:
        parts = urlsplit(address.strip())
        fields = {name: values[0] for name, values in parse_qs(parts.query, max_num_fields=20).items()}
    except ValueError as error:
        raise LoginNeeded("this is not the answer to this login: it cannot be read") from error
    if parts.path != _PATH or not secrets.compare_digest(fields.get("state", "").encode(), state.encode()):
        raise LoginNeeded("this is not the answer to this login: its state is another one")
    if "error" in fields:
        reason = "you did not allow it" if fields["error"] == "access_denied" else repr(fields["error"][:80])
        raise LoginFailed(f"Spotify gave no permission: {reason}")
    code = fields.get("code", "")
    if not 0 < len(code) <= _CODE_LENGTH:
        raise LoginFailed("Spotify gave no permission, and does not say why")
    return code


class Callback:
    """Waits on 127.0.0.1 for the browser that Spotify sends back. What answers another login is refused, and said."""

    def __init__(self, state: str, say: Callable[[str], None]) -> None:
        self.state, self.say = state, say
        self.code = ""
        self.failure: LoginFailed | None = None
        self._over = threading.Event()

    def wait(self, timeout_s: float) -> str:
        """Return the code. Raises: LoginFailed if there is none in time, or the user said no."""
        if not self._over.wait(timeout_s):
            raise LoginFailed(f"nobody has logged in within {timeout_s:.0f} s")
        if self.failure:
            raise self.failure
        return self.code

    def answer(self, address: str) -> tuple[int, str]:
        """Take an address that a browser asks for. → status and text of what it is told."""
        if not address.startswith((_PATH + "?", _PATH + "#")) and address != _PATH:
            return 404, "There is nothing here."
        try:
            code = code_in(address, self.state)
        except LoginNeeded as error:
            self.say(f"An answer was refused: {error}")
            return 400, "This is not the answer to the login under way. Open the address that Segue has printed."
        except LoginFailed as error:
            self.failure = error
            return 400, "Spotify gave no permission. You can close this page."
        self.code = code
        return 200, "Segue may now write playlists. You can close this page."

    def told(self) -> None:
        """Let `wait` return if there is something to return: not before the browser has been told."""
        if self.code or self.failure:
            self._over.set()


@contextmanager
def listening(config: LoginConfig, state: str, say: Callable[[str], None]) -> Iterator[Callback]:
    """Run the server that waits. Raises: LoginFailed if the port is taken."""
    callback = Callback(state, say)

    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            status, text = callback.answer(self.path)
            body = _PAGE.format(text=text).encode()
            with suppress(OSError):  # the browser has left
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            callback.told()

        def log_message(self, *_: Any) -> None:
            pass  # the address has the code in it

    try:
        server = ThreadingHTTPServer(("127.0.0.1", config.port), Handler)
    except OSError as error:
        raise LoginFailed(
            f"port {config.port} of 127.0.0.1 is taken: set SPOTIFY_REDIRECT_PORT to another one, and add its address "
            "to the app's redirect URIs"
        ) from error
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield callback
        finally:
            server.shutdown()
            thread.join()


def pasted(lines: IO[str], state: str, timeout_s: float) -> str:
    """Read the address that the browser was sent back to. → its code. Raises: LoginFailed."""
    try:
        ready = select.select([lines], [], [], timeout_s)[0]
    except (OSError, ValueError):  # it is no file that can be waited for
        ready = [lines]
    line = lines.readline(2 * _CODE_LENGTH) if ready else ""
    if not line.strip():
        raise LoginFailed("no address was pasted")
    try:
        return code_in(line, state)
    except LoginNeeded as error:
        raise LoginFailed(str(error)) from error
    except ValueError as error:
        raise LoginFailed("what was pasted is no address") from error


def _usable(token: Any) -> bool:
    return (
        isinstance(token, dict)
        and all(isinstance(token.get(name), str) and token[name] for name in ("access_token", "refresh_token", "scope"))
        and token["access_token"].isascii()
        and token["access_token"].isprintable()
        and isinstance(token.get("expires_at"), int)
    )


def _reason(error: Refused) -> str:
    """Return what the accounts service says: `error` is a word there, not an object."""
    try:
        said = json.loads(error.body)
        text = said.get("error_description") or said.get("error")
    except (ValueError, AttributeError, RecursionError):
        text = None
    return repr(str(text)[:200]) if text else f"status {error.status}"
