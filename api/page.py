"""The page: one document and its own small files. It asks no other host but Spotify, for its player, on a click."""

from __future__ import annotations

import functools
import gzip
from pathlib import Path

from flask import Blueprint, Response, abort, render_template, request

page = Blueprint("page", __name__)

_FILES = {path.name: path for path in (Path(__file__).parent / "static" / "page").iterdir()}
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "frame-src https://open.spotify.com; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@page.get("/")
def index() -> Response:
    """Show the page; all that it shows beyond its frame it asks for itself."""
    response = Response(render_template("page.html"), content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _POLICY
    return _revalidated(response)


@page.get("/page/<name>")
def file(name: str) -> Response:
    """Send one of the page's files, a third of its size where the browser takes gzip."""
    if name not in _FILES:
        abort(404)
    kind = f"{_KINDS[_FILES[name].suffix]}; charset=utf-8"
    response = Response(_packed(name, _FILES[name].stat().st_mtime_ns), content_type=kind)
    if request.accept_encodings["gzip"] > 0:
        response.headers["Content-Encoding"] = "gzip"
    else:
        response.set_data(_FILES[name].read_bytes())
    response.headers["Vary"] = "Accept-Encoding"
    return _revalidated(response)


@functools.lru_cache(maxsize=100)
def _packed(name: str, _changed: int) -> bytes:
    return gzip.compress(_FILES[name].read_bytes(), mtime=0)


def _revalidated(response: Response) -> Response:
    """Let browsers ask each time whether it is still the same: a page is never half new."""
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response
