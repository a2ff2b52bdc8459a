"""The calls about what the model holds: tracks, genres, popular lists, the map."""

from __future__ import annotations

from collections.abc import Sequence

from .asking import Asking, id_of, post
from .catalogue_shapes import Filters, GenreList, Map, ModelInfo, PopularList, Track, TrackDetail, TracksOnMap
from .steps import One, Send, Steps


class CatalogueCalls(Asking):
    """What both clients can ask about the catalogue."""

    @One
    def popular(self, genre: str | None = None, *, limit: int = 20) -> Steps[PopularList]:
        """Return the most popular tracks, of a genre or of all. limit: 1–50. Waits for no worker."""
        return self._get(PopularList, "/v1/popular", genre=genre, limit=limit)

    @One
    def genres(self) -> Steps[GenreList]:
        """Return the genres that the model knows."""
        return self._get(GenreList, "/v1/genres")

    @One
    def model(self) -> Steps[ModelInfo]:
        """Return what the model in service holds."""
        return self._get(ModelInfo, "/v1/model")

    @One
    def tracks(self, q: str, *, limit: int = 10) -> Steps[list[Track]]:
        """Return tracks that somebody who has typed `q` may mean, the likeliest first."""
        found: dict[str, list[Track]] = yield from self._get(dict, "/v1/tracks", q=q, limit=limit)
        return found["tracks"]

    @One
    def track(self, track_id: str) -> Steps[TrackDetail]:
        """Return a track of the catalogue, with how it sounds."""
        return self._get(TrackDetail, f"/v1/tracks/{id_of(track_id)}")

    @One
    def count(self, filters: Filters) -> Steps[int]:
        """Return how many tracks of the catalogue pass."""
        found: dict[str, int] = yield from self._read(dict, post("/v1/tracks/count", {"filters": filters}))
        return found["count"]

    @One
    def map(self) -> Steps[Map]:
        """Return what the map of all tracks shows: its axes, and where the clusters lie."""
        return self._get(Map, "/v1/map")

    @One
    def map_picture(self) -> Steps[bytes]:
        """Return the map as a PNG: the lighter, the more tracks; bright songs right, energetic ones at the top."""
        return (yield from self._ask(Send("GET", "/v1/map.png"))).content

    @One
    def tracks_on_map(self, box: Sequence[float] = (0, 0, 1, 1), *, limit: int = 200) -> Steps[TracksOnMap]:
        """Return the best known tracks in a box of the map, and how many there are. box: x0, y0, x1, y1, within 0–1."""
        return self._get(TracksOnMap, "/v1/map/tracks", box=",".join(str(edge) for edge in box), limit=limit)
