"""The catalogue of a model in memory: what a row is, how it is found by id or name, where it lies on the map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from artifacts import features, store
from artifacts.filters import Filter, Mask
from artifacts.manifest import Manifest
from artifacts.map import Map
from artifacts.names import artist_form
from artifacts.quantiles import share_below
from artifacts.strings import Strings
from artifacts.textindex import TextIndex

UNKNOWN = -1
"""In the whole-number columns."""

Rows = npt.NDArray[np.intp]


class Catalogue:
    """The tracks of one version. See training/build.py for the arrays and what each holds."""

    def __init__(self, manifest: Manifest, arrays: store.Arrays) -> None:
        self.manifest = manifest
        self._a = arrays
        self.name = Strings(arrays["name_offsets"], arrays["name_utf8"])
        self.artist_name = Strings(arrays["artist_offsets"], arrays["artist_utf8"])
        self.song = arrays["song"]
        self.cluster = arrays["cluster"]
        self.names = TextIndex(arrays)
        self.map = Map(arrays)
        self._rank = arrays["id_rank"]

    def __len__(self) -> int:
        return self.manifest.tracks

    def row_of_id(self, track_id: str) -> int | None:
        """Return the row of a track id, None if the catalogue does not have it."""
        ids = self._a["track_id"]
        wanted = track_id.encode("utf-8")
        if len(wanted) > ids.dtype.itemsize:
            return None
        rank = int(np.searchsorted(ids, np.array(wanted, ids.dtype)))
        return int(self._a["id_row"][rank]) if rank < len(ids) and ids[rank] == wanted else None

    def rows_of_name(self, title: str, artist: str | None) -> list[int]:
        """Return the rows of an exact (normalised) name, the most popular first; `names` finds more than that."""
        return self.names.exact(title, artist)

    def artists_named(self, name: str) -> list[int]:
        """Return the codes of the artists of this (normalised) name."""
        rows = self.names.artist_rows(name, 200)
        wanted = artist_form(name)
        return sorted({c for row in rows for c in self.artist_codes(row) if artist_form(self.artist_name[c]) == wanted})

    def artist_codes(self, row: int) -> list[int]:
        """Return the codes of a row's credited artists, in credit order; empty if unknown."""
        start, stop = self._a["credit_offsets"][row : row + 2]
        return [int(code) for code in self._a["credit_artist"][start:stop]]

    def credits(self, rows: Rows) -> list[tuple[int, ...]]:
        """Return what `artist_codes` returns, of many rows at once."""
        offsets = self._a["credit_offsets"]
        starts, stops = offsets[rows].astype(np.intp), offsets[rows + 1].astype(np.intp)
        ends = np.cumsum(stops - starts)
        places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(stops - ends, stops - starts)
        codes, cuts = self._a["credit_artist"][places].tolist(), [0, *ends.tolist()]
        return [tuple(codes[start:stop]) for start, stop in pairwise(cuts)]

    def artists_of(self, row: int) -> list[str]:
        """Return the names of a row's credited artists."""
        return [self.artist_name[code] for code in self.artist_codes(row)]

    def track(self, row: int) -> dict[str, Any]:
        """Return what answers show of a row: `producer.schema.Track` as a dict."""
        return self.tracks([row])[0]

    def tracks(self, rows: Sequence[int] | Rows) -> list[dict[str, Any]]:
        """Return what answers show of rows, as `track` does, in a fifth of the time for many."""
        at = np.asarray(rows, np.intp)
        ids = [track_id.decode("utf-8") for track_id in self._a["track_id"][self._rank[at]].tolist()]
        sets = self._a["genre_set"][at]
        starts, stops = self._a["set_offsets"][sets].tolist(), self._a["set_offsets"][sets + 1].tolist()
        genres, credited = self.manifest.genres, self.credits(at)
        artists = iter(self.artist_name.several([code for codes in credited for code in codes]))
        shown = {
            "track_id": ids,
            "name": self.name.several(at),
            "artists": [[next(artists) for _ in codes] for codes in credited],
            "genres": [
                [genres[code] for code in self._a["set_genre"][a:b].tolist()]
                for a, b in zip(starts, stops, strict=True)
            ],
            **{
                name: [None if value == UNKNOWN else value for value in self._a[name][at].tolist()]
                for name in ("year", "popularity", "key", "mode", "duration_ms")
            },
            "tempo": [round(tempo, 1) if tempo == tempo else None for tempo in self._a["tempo"][at].tolist()],
            "cluster": self.cluster[at].tolist(),
            "spotify_url": [self._spotify_url(track_id) for track_id in ids],
            "at": self.map.at(at),
        }
        return [dict(zip(shown, values, strict=True)) for values in zip(*shown.values(), strict=True)]

    def _spotify_url(self, track_id: str) -> str | None:
        on_spotify = not self.manifest.synthetic and len(track_id) == 22
        return f"https://open.spotify.com/track/{track_id}" if on_spotify else None

    def track_detail(self, row: int) -> dict[str, Any]:
        """Return all that is known of a row: `producer.schema.TrackDetail` as a dict."""
        sound = {name: self._a["sound"][place, row] for place, name in enumerate(features.SOUND)}
        known = {name: float(value) for name, value in sound.items() if not np.isnan(value)}
        return {
            **self.track(row),
            "features": dict.fromkeys(features.SOUND) | {name: round(value, 3) for name, value in known.items()},
            "percentiles": dict.fromkeys(features.SOUND)
            | {name: share_below(self.manifest.quantiles[name], value) for name, value in known.items()},
        }

    def sound(self, rows: Rows) -> npt.NDArray[np.float64]:
        """Return the features of `features.SOUND` as the data has them, float64 (8, n), NaN where unknown."""
        return self._a["sound"][:, rows].astype(np.float64)

    def id_of(self, row: int) -> str:
        """Return the track id of a row."""
        return str(self._a["track_id"][self._rank[row]].decode("utf-8"))

    def ranks(self, rows: Rows) -> Rows:
        """Return the places of rows' ids among all ids: an order that does not depend on how rows are stored."""
        return np.asarray(self._rank[rows], np.intp)

    @property
    def arrays(self) -> Mapping[str, npt.NDArray[Any]]:
        """The arrays of this version, by the names in training/build.py."""
        return self._a

    def genre_codes(self, row: int) -> list[int]:
        """Return the codes of a row's own labels."""
        start, stop = self._a["set_offsets"][(s := int(self._a["genre_set"][row])) : s + 2]
        return [int(code) for code in self._a["set_genre"][start:stop]]

    def most_popular(self, k: int, passing: Mask | None = None) -> Rows:
        """Return the `k` most popular rows that pass, ties and unknown popularity in the order of ids."""
        order = self._a["popular_row"]
        if passing is not None:
            order = order[passing[order]]
        return np.asarray(order[:k], np.intp)

    def mask(self, conditions: Filter) -> Mask | None:
        """Return which rows pass, None for all of them."""
        return None if conditions.is_empty else conditions.mask(self._a)
