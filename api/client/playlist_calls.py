"""The calls about playlists."""

from __future__ import annotations

from typing import Unpack

from .job_shapes import Job, Webhook
from .playlist_shapes import Diagnosis, DoctorOptions, Playlist, PlaylistOptions
from .shapes import Seeds
from .steps import One, Steps
from .submitting import Submitting, request

_PLAYLISTS, _DOCTOR = "/v1/playlists", "/v1/playlists/doctor"


class PlaylistCalls(Submitting):
    """What both clients can do about playlists."""

    @One
    def playlist(
        self,
        seeds: Seeds | None = None,
        *,
        timeout_s: float = 60.0,
        idempotency_key: str | None = None,
        **options: Unpack[PlaylistOptions],
    ) -> Steps[Playlist]:
        """Ask for a playlist like `seeds`, one that goes on from `extend`, or one along `waypoints`, and wait for it.

        Songs are given as for `recommend`. options: see `PlaylistOptions`. Raises as `recommend` does.
        """
        return self._answered(Playlist, _PLAYLISTS, request(options, seeds=seeds), idempotency_key, timeout_s)

    @One
    def submit_playlist(
        self,
        seeds: Seeds | None = None,
        *,
        idempotency_key: str | None = None,
        webhook: Webhook | None = None,
        **options: Unpack[PlaylistOptions],
    ) -> Steps[Job]:
        """Ask as `playlist` does, and do not wait. webhook: where to tell of its end. → the job. Raises as that."""
        return self._submit(Job, _PLAYLISTS, request(options, seeds=seeds, webhook=webhook), idempotency_key)

    @One
    def diagnose(
        self,
        playlist: Seeds,
        *,
        timeout_s: float = 60.0,
        idempotency_key: str | None = None,
        **options: Unpack[DoctorOptions],
    ) -> Steps[Diagnosis]:
        """Have a playlist looked at, and wait for what is said of it: what does not fit, and what would mend it.

        playlist: its songs in their order, given as for `recommend`. Raises as `recommend` does.
        """
        return self._answered(Diagnosis, _DOCTOR, request(options, playlist=playlist), idempotency_key, timeout_s)
