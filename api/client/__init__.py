"""The Python client of the HTTP contract: `Client`, and `AsyncClient` with the same calls.

    with Client("http://127.0.0.1:8000") as segue:
        print(segue.recommend("Spider Perander Draythwaite", limit=5)["tracks"])

Needs httpx2 and nothing else; this folder works wherever it is copied to. docs/howto/client.md shows it at work.
"""

from __future__ import annotations

from .calls import AsyncClient, Client
from .catalogue_shapes import Filters, GenreList, Map, ModelInfo, PopularList, Track, TrackDetail, TracksOnMap
from .errors import (
    Expired,
    InvalidRequest,
    JobCanceled,
    JobFailed,
    NotAllowed,
    NotFinished,
    NotFound,
    QueueFull,
    RateLimited,
    SegueError,
    ServiceError,
    Unavailable,
)
from .job_shapes import (
    Batch,
    Delivery,
    Endpoint,
    Job,
    Line,
    NewEndpoint,
    Progress,
    Try,
    Webhook,
    WholeDelivery,
)
from .playlist_shapes import (
    Bridge,
    Clash,
    Diagnosis,
    DoctorOptions,
    Length,
    Misfit,
    Playlist,
    PlaylistItem,
    PlaylistOptions,
    PlaylistTrack,
    Transition,
    TransitionPart,
)
from .receiving import BadWebhook, WebhookEvent, verify_webhook
from .shapes import Item, Options, Result, Seed

__all__ = [
    "AsyncClient",
    "BadWebhook",
    "Batch",
    "Bridge",
    "Clash",
    "Client",
    "Delivery",
    "Diagnosis",
    "DoctorOptions",
    "Endpoint",
    "Expired",
    "Filters",
    "GenreList",
    "InvalidRequest",
    "Item",
    "Job",
    "JobCanceled",
    "JobFailed",
    "Length",
    "Line",
    "Map",
    "Misfit",
    "ModelInfo",
    "NewEndpoint",
    "NotAllowed",
    "NotFinished",
    "NotFound",
    "Options",
    "Playlist",
    "PlaylistItem",
    "PlaylistOptions",
    "PlaylistTrack",
    "PopularList",
    "Progress",
    "QueueFull",
    "RateLimited",
    "Result",
    "Seed",
    "SegueError",
    "ServiceError",
    "Track",
    "TrackDetail",
    "TracksOnMap",
    "Transition",
    "TransitionPart",
    "Try",
    "Unavailable",
    "Webhook",
    "WebhookEvent",
    "WholeDelivery",
    "verify_webhook",
]
