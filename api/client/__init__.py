"""The Python client of the HTTP contract: `Client`, and `AsyncClient` with the same calls.

    with Client("http://127.0.0.1:8000") as segue:
        print(segue.recommend("Spider Perander Draythwaite", limit=5)["tracks"])

Needs httpx2 and nothing else; this folder works wherever it is copied to. docs/howto/client.md shows it at work.
"""

from __future__ import annotations

from .calls import AsyncClient, Client
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
from .shapes import (
    Batch,
    Filters,
    GenreList,
    Item,
    Job,
    Line,
    ModelInfo,
    Options,
    PopularList,
    Result,
    Seed,
    Track,
)

__all__ = [
    "AsyncClient",
    "Batch",
    "Client",
    "Expired",
    "Filters",
    "GenreList",
    "InvalidRequest",
    "Item",
    "Job",
    "JobCanceled",
    "JobFailed",
    "Line",
    "ModelInfo",
    "NotAllowed",
    "NotFinished",
    "NotFound",
    "Options",
    "PopularList",
    "QueueFull",
    "RateLimited",
    "Result",
    "Seed",
    "SegueError",
    "ServiceError",
    "Track",
    "Unavailable",
]
