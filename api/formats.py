"""The forms that a result comes in: JSON, msgpack, and those that players and services read."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Literal, get_args
from urllib.parse import quote

import msgpack
from flask import Response, make_response, request
from pydantic import Field

from api.service import Parameters, shown
from api.waiting import MOST_S
from producer.jobs import Job, JobType
from producer.playlists.shapes import Diagnosis, Playlist
from producer.playlists.writing import FORMATS, document_of
from producer.schema import Result

FormatName = Literal["json", "msgpack", "m3u8", "xspf", "jspf", "csv", "uris", "jsonl"]

_DATA = {"json": "application/json", "msgpack": "application/msgpack"}
_ALL = _DATA | {form.name: form.media_type for form in FORMATS.values()}
assert get_args(FormatName) == tuple(_ALL)  # a type has to spell them out

_RESULT = [{"$ref": f"#/components/schemas/{shape.__name__}"} for shape in (Result, Playlist, Diagnosis)]
CONTENT: dict[str, Any] = {kind: {} for kind in _ALL.values()} | {_DATA["json"]: {"schema": {"anyOf": _RESULT}}}
"""What a result may come as, for the contract."""

_NAMES_IN_TITLE = 3
_LONGEST_TITLE = 200
_LONGEST_FILE_NAME = 80


class ResultParameters(Parameters):
    """Whether to wait, and in which form the result is wanted."""

    wait: float = Field(0, ge=0, le=MOST_S, description="Seconds to wait until it is over, at most.")
    format: FormatName | None = Field(None, description="The form, instead of by Accept: for links.")
    title: str | None = Field(
        None,
        min_length=1,
        max_length=_LONGEST_TITLE,
        description="What the playlist is to be called, in forms that name it; after its first songs if left out.",
    )


def possible(kind: JobType) -> dict[str, str]:
    """Return the forms that results of a type of job come in, and their media types."""
    return _DATA if kind == "diagnosis" else _ALL


def wanted(kind: JobType, name: FormatName | None) -> str | None:
    """Return the form that the caller wants: by name, else by Accept. None: a result of that type has no such form."""
    forms = possible(kind)
    if name is not None:
        return name if name in forms else None
    if not request.accept_mimetypes:
        return "json"
    media_type = request.accept_mimetypes.best_match(forms.values())
    return next((form for form, other in forms.items() if other == media_type), None)


def written(form: str, job: Job, title: str | None) -> Response:
    """Return the result of a job that succeeded in a form that is possible for it."""
    assert job.result is not None, "a job that succeeded has a result"
    media_type = _ALL[form]
    if form == "json":
        response = shown(job.result)
    elif form == "msgpack":
        response = make_response(msgpack.packb(job.result.model_dump()))
    else:
        title = title or _title(job)
        text = FORMATS[form].write(document_of(job.result.model_dump(), title))
        response = make_response(text.encode("utf-8", "replace"))
        response.headers["Content-Disposition"] = _as_file(title, FORMATS[form].suffix)
        if media_type.startswith("text/"):
            media_type += "; charset=utf-8"
    response.content_type = media_type
    return response


def _title(job: Job) -> str:
    """Name a playlist after the songs that were given; those are not all found."""
    names = [seed.name for seed in job.result.seeds if seed.name] if job.result else []
    if not names:
        return f"Segue {job.created_at[:10]}"
    more = " …" if len(names) > _NAMES_IN_TITLE else ""
    return (", ".join(names[:_NAMES_IN_TITLE]))[: _LONGEST_TITLE - len(more)] + more


def _as_file(title: str, suffix: str) -> str:
    """Return the header that has a browser save a file, under a name that is none of any system's special ones."""
    printable = "".join(c if c.isprintable() and c not in '/\\:*?"<>|%' else "_" for c in title)
    stem = printable.encode("utf-8", "replace").decode()[:_LONGEST_FILE_NAME].strip(" .") or "playlist"
    letters = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9 ()&,._-]+", "_", letters).strip(" ._") or "playlist"
    return f"attachment; filename=\"{plain}{suffix}\"; filename*=UTF-8''{quote(stem + suffix, safe='')}"
