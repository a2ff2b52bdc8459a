"""Songs outside the catalogue: Spotify says which they are, ReccoBeats, if switched on, how they sound."""

from __future__ import annotations

from worker.features_provider import ReccoBeats
from worker.resolve import Outside
from worker.spotify import Spotify


class OutsideLookUp:
    """Asks both, within one budget. budget_s: seconds that all look-ups of a request may take."""

    def __init__(self, spotify: Spotify, reccobeats: ReccoBeats, budget_s: float) -> None:
        self._spotify, self._reccobeats, self.budget_s = spotify, reccobeats, budget_s

    def find(self, name: str, artist: str | None, budget_s: float) -> Outside:
        """Look a song up by name. budget_s: seconds that are left for it."""
        found = self._spotify.find(name, artist, budget_s)
        candidates = tuple((c.id, c.name, c.artists[0] if c.artists else "") for c in found.candidates)
        return Outside(found.outcome, found.reason, candidates)

    def features_of(self, track_id: str, budget_s: float) -> dict[str, float]:
        """Return the audio features of a track, by the names of artifacts.features.RAW; empty: nobody knows.

        budget_s: seconds that are left for it.
        """
        return self._reccobeats.features_of(track_id, budget_s).values
