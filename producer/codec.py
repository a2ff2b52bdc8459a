"""Bytes in Redis: msgpack behind one byte that names the format version. Never pickle.

A pickle in Redis is code execution for whoever can write there; `unpack` refuses it by its first byte, unread.
The byte also tells a later release which format it meets, and keeps RQ from taking our bytes for zlib's.
"""

from __future__ import annotations

from typing import Any

import msgpack

from producer.errors import BadMessage

FORMAT = b"\x01"
MAX_BYTES = 8_000_000  # a request has at most 1 MB, a result of 100 tracks some 50 kB


def pack(value: Any) -> bytes:
    """Return `value` (None, bool, int, float, str, bytes, list, dict) as bytes.

    Raises: BadMessage if something in it is of another type (a numpy scalar, say) or it is too large.
    """
    try:
        packed: bytes = FORMAT + msgpack.packb(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadMessage(f"cannot be packed: {error}") from error
    if len(packed) > MAX_BYTES:
        raise BadMessage(f"{len(packed)} bytes, {MAX_BYTES} at most")
    return packed


def unpack(data: bytes) -> Any:
    """Return what `pack` was given; tuples come back as lists.

    Raises: BadMessage if `data` is not of this format version, cut off, or too large.
    """
    if data[:1] != FORMAT:
        raise BadMessage(f"begins with {data[:1]!r}, not with format version {FORMAT!r}")
    if len(data) > MAX_BYTES:
        raise BadMessage(f"{len(data)} bytes, {MAX_BYTES} at most")
    try:
        return msgpack.unpackb(data[1:], strict_map_key=True)
    except (ValueError, msgpack.UnpackException) as error:
        raise BadMessage(f"broken message: {error}") from error


class RQSerializer:
    """The codec in the form that RQ asks of a serializer; give it to every Queue, Worker and Job of RQ's."""

    dumps = staticmethod(pack)
    loads = staticmethod(unpack)
