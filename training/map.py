"""Draw the map: a picture of how many tracks lie where, and what the clusters on it are called."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from training.catalogue import Arrays

PIXELS = 1024
"""Of the picture, along each side."""

_BROAD, _FINE = 1500, 12
"""Tracks that each of two blurs gathers, on average: the one shows the land, the other a grain of single tracks."""

_GRAIN = 0.11
"""The share of the finer one."""

_BLUR = (1.2, 40.0)
"""The least and the greatest standard deviation of a blur, in pixels."""

_ENDS = (0.005, 0.998)
"""The quantiles of density that become black and white: the crowd of silent pieces in one corner is beyond."""

_GAMMA = 1.1
"""Over 1: the middle is darker, and what rises from it is seen."""

_GENRES = 3
_LIFT, _SHARE = 1.5, 0.02
"""A genre is typical of a cluster if it is so many times as frequent in it as elsewhere, and has so much of it."""

AXES = {
    "x": {"name": "valence", "low": "dark", "high": "bright"},
    "y": {"name": "energy", "low": "calm", "high": "energetic"},
}

F64 = npt.NDArray[np.float64]


def description(place: F64, arrays: Arrays, genres: Sequence[str]) -> dict[str, Any]:
    """Return what the map is: `producer.charts.MapInfo` as a dict, without model and notice.

    place: from `artifacts.map.places`; arrays: those of the clusters and label sets; genres: the labels' names.
    """
    known = ~np.isnan(place[0])
    typical = _typical_genres(arrays, genres)
    sizes = np.bincount(arrays["cluster"], minlength=len(typical))
    labels: list[dict[str, Any]] = []
    for cluster in np.argsort(-sizes, kind="stable").tolist():
        inside = place[:, known & (arrays["cluster"] == cluster)]
        if not inside.size:
            continue
        at = [round(float(middle), 4) for middle in np.median(inside, axis=1)]
        room = min((float(np.hypot(at[0] - b["at"][0], at[1] - b["at"][1])) for b in labels), default=1.0)
        labels.append(
            {
                "cluster": cluster,
                "genres": typical[cluster],
                "share": round(float(sizes[cluster]) / place.shape[1], 4),
                "at": at,
                "room": round(min(room, 1.0), 4),
            }
        )
    return {"tracks": int(known.sum()), **AXES, "labels": labels}


def _typical_genres(arrays: Arrays, genres: Sequence[str]) -> list[list[str]]:
    """Return for each cluster up to _GENRES genres that are typical of it.

    They are chosen by share · log(share in it / share of all tracks), their part of the cluster's divergence from the
    catalogue (Kullback, Leibler 1951): by the quotient alone the rarest would win.
    """
    clusters, offsets = len(arrays["centroid"]), arrays["set_offsets"]
    sets = len(offsets) - 1
    rows = np.bincount(arrays["cluster"].astype(np.int64) * sets + arrays["genre_set"], minlength=clusters * sets)
    member = np.zeros((sets, len(genres)))
    member[np.repeat(np.arange(sets), np.diff(offsets)), arrays["set_genre"]] = 1
    count = rows.reshape(clusters, sets) @ member
    sizes = rows.reshape(clusters, sets).sum(axis=1, keepdims=True)
    share, overall = count / np.maximum(sizes, 1), count.sum(axis=0) / max(sizes.sum(), 1)
    lift = np.divide(share, overall, out=np.zeros_like(share), where=overall > 0)
    typical = (lift >= _LIFT) & (share >= _SHARE)
    weight = np.where(typical, share * np.log(np.maximum(lift, 1)), 0)
    best = np.argsort(-weight, axis=1, kind="stable")[:, :_GENRES]
    return [[genres[code] for code in codes if weight[cluster, code] > 0] for cluster, codes in enumerate(best)]


def picture(place: F64) -> bytes:
    """Return a PNG of PIXELS × PIXELS, in greys: the lighter, the more tracks; energetic at the top, bright right.

    A density by kernels, the narrower the more tracks there are, on a scale of logarithms. The same places give the
    same bytes, with the same zlib.
    """
    x, y = (place[:, ~np.isnan(place[0])] * PIXELS).astype(np.int64)
    if not len(x):
        return _png(np.zeros((PIXELS, PIXELS), np.uint8))
    counted = np.bincount((PIXELS - 1 - y) * PIXELS + x, minlength=PIXELS**2).reshape(PIXELS, PIXELS)
    a_pixel = len(x) / PIXELS**2
    density = (1 - _GRAIN) * _blurred(counted / a_pixel, _BROAD / a_pixel)
    density += _GRAIN * _blurred(counted / a_pixel, _FINE / a_pixel)
    height = np.log(density + 0.02)
    low, high = np.quantile(height, _ENDS)
    lightness = np.clip((height - low) / max(high - low, 1e-9), 0, 1) ** _GAMMA
    return _png(np.rint(255 * lightness).astype(np.uint8))


def _blurred(density: F64, area: float) -> F64:
    """Blur so far that a point gathers from `area` pixels; what would leave at an edge is kept within."""
    sigma = float(np.clip(np.sqrt(area / (4 * np.pi)), *_BLUR))
    blurred: F64 = gaussian_filter(density, sigma, mode="reflect")
    return blurred


def _png(grey: npt.NDArray[np.uint8]) -> bytes:
    """Return a picture as a PNG. grey: (height, width), 0 black."""
    height, width = grey.shape
    # Each line as its difference to the one above (filter type 2): in a smooth picture that is nearly nothing.
    above = np.vstack([np.zeros((1, width), np.uint8), grey[:-1]])
    lines = np.hstack([np.full((height, 1), 2, np.uint8), grey - above])
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )
