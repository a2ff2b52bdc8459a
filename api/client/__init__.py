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
from .receiving import BadWebhook, WebhookEvent, verify_webhook
from .shapes import (
    Batch,
    Delivery,
    Endpoint,
    Filters,
    GenreList,
    Item,
    Job,
    Line,
    ModelInfo,
    NewEndpoint,
    Options,
    PopularList,
    Result,
    Seed,
    Track,
    Try,
    Webhook,
    WholeDelivery,
)

__all__ = [
    "AsyncClient",
    "BadWebhook",
    "Batch",
    "Client",
    "Delivery",
    "Endpoint",
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
    "NewEndpoint",
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
    "Try",
    "Unavailable",
    "Webhook",
    "WebhookEvent",
    "WholeDelivery",
    "verify_webhook",
]
