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
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-src https://open.spotify.com; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@page.get("/")
def index() -> Response:
    """Show the page; all that it shows beyond its frame it asks for itself."""
    response = _packed(render_template("page.html").encode(), "text/html")
    response.headers["Content-Security-Policy"] = _POLICY
    return response


@page.get("/page/<name>")
def file(name: str) -> Response:
    """Send one of the page's files."""
    if name not in _FILES:
        abort(404)
    return _packed(_FILES[name].read_bytes(), _KINDS[_FILES[name].suffix])


_gzipped = functools.lru_cache(maxsize=100)(functools.partial(gzip.compress, mtime=0))


def _packed(body: bytes, kind: str) -> Response:
    """Send it at a third of its size where the browser takes gzip.

    Browsers ask each time whether it is still the same, so that a page is never half new.
    """
    packs = request.accept_encodings["gzip"] > 0
    response = Response(_gzipped(body) if packs else body, content_type=f"{kind}; charset=utf-8")
    if packs:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response
