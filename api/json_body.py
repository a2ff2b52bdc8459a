"""Read JSON that strangers send: what is nested too deep, too much or too long is refused before it costs anything.

How many bytes there are is bounded by whoever read them.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from itertools import accumulate
from typing import Any

from flask import Response, request
from werkzeug.exceptions import UnsupportedMediaType

from api.errors import problem
from api.waiting import asked_before

MOST_DEEP = 50
MOST_VALUES = 4_000_000
"""A batch of 10,000 requests may hold so many; `[{},{},…` of the same size would take twenty times its bytes."""
MOST_DIGITS = 100

_STRING = re.compile(r'"[^"]*"?')
_OTHERS = re.compile(r"[^\[\]{}]+")


def loads(body: bytes) -> Any:
    """Return what a body says.

    Raises: ValueError with a sentence: no JSON or not UTF-8; nested deeper than MOST_DEEP; more than MOST_VALUES
    objects, arrays, strings, numbers …; a number of over MOST_DIGITS digits or beyond what a double holds; a name twice
    in one object, because readers differ in which of the two they take.
    """
    text = body.decode("utf-8-sig")
    brackets = _OTHERS.sub("", refuse_many_values(text))
    if any(deep > MOST_DEEP for deep in accumulate(1 if bracket in "[{" else -1 for bracket in brackets)):
        raise ValueError(f"nested deeper than {MOST_DEEP} levels")
    return _DECODER.decode(text)


def refuse_many_values(text: str) -> str:
    """Return a JSON text without its strings. Raises: ValueError if it holds more than MOST_VALUES values."""
    # Without the escapes a string is what stands between two quotes. In what is no JSON that may go wrong, but only
    # behind the place where the parser gives up.
    outside = _STRING.sub("", text.replace("\\\\", "").replace('\\"', ""))
    if outside.count(",") + outside.count("[") + outside.count("{") >= MOST_VALUES:
        raise ValueError(f"more than {MOST_VALUES} values")
    return outside


_WITHOUT_BODY = ("batches.cancel", "webhooks.test", "webhooks.replay")
"""What says all by its address; curl -X POST sends no body."""

JSON_LINES = ("application/jsonl", "application/x-ndjson", "application/x-jsonlines")


def require_json() -> Response | None:
    """Refuse a POST or PATCH whose body is not JSON, with 415 or 400, before its fields are looked at (422).

    Two read their body themselves: /recommend, which has errors of its own shape, and batches, which may be JSON Lines.
    """
    if request.method not in ("POST", "PATCH") or request.endpoint is None or request.endpoint == "plain.recommend":
        return None
    if asked_before() is not None:
        return None  # it was looked at the first time
    if request.endpoint == "batches.submit" and request.mimetype in JSON_LINES:
        return None
    if request.endpoint in _WITHOUT_BODY and not request.content_length:
        return None
    if not request.is_json:
        raise UnsupportedMediaType("send the body as application/json")
    if request.endpoint == "batches.submit":
        return None  # large, so it is read once
    try:
        loads(request.get_data())
    except ValueError as error:
        return problem("malformed-json", f"the body is no JSON that can be read: {error}")
    return None


def _int(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number) or len(digits) > MOST_DIGITS:
        raise ValueError(f"the number {digits[:20]} is beyond what can be computed with")
    return number


def _constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{name[:50]!r} stands twice in one object")
    return found


_DECODER = json.JSONDecoder(parse_int=_int, parse_float=_float, parse_constant=_constant, object_pairs_hook=_object)
