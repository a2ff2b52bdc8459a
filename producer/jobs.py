"""What clients see of a job, and of a batch."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from producer import keys
from producer.playlists.shapes import Diagnosis, Playlist
from producer.schema import Answer, Message, Result

JobType = Literal["recommendation", "playlist", "diagnosis"]

TYPES: dict[str, JobType] = {
    keys.RECOMMEND: "recommendation",
    keys.PLAYLIST: "playlist",
    keys.DIAGNOSE: "diagnosis",
}
"""What clients call a job, by the function that it names."""

RESULTS: dict[JobType, type[Result] | type[Playlist] | type[Diagnosis]] = {
    "recommendation": Result,
    "playlist": Playlist,
    "diagnosis": Diagnosis,
}
"""What a job of each type is answered with."""


def type_of(description: str) -> JobType:
    """Return the type of a job. description: of its record, which begins with the function's name."""
    return TYPES.get(description.partition("(")[0], "recommendation")


class Status(StrEnum):
    """Where a job stands. A final status never changes."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_final(self) -> bool:
        """Whether the job is over."""
        return self not in (Status.QUEUED, Status.RUNNING)


class JobError(Answer):
    """Why a job failed."""

    code: str
    detail: str
    pointer: str = ""


class Links(Message):
    """Where to ask on. `cancel` is asked with DELETE."""

    self: str
    result: str
    cancel: str
    events: str

    @classmethod
    def of(cls, job_id: str) -> Links:
        """Return the links of a job."""
        path = f"/v1/jobs/{job_id}"
        return cls(self=path, result=f"{path}/result", cancel=path, events=f"{path}/events")


class Progress(Answer):
    """How far the worker is with a job."""

    stage: str = Field(description="What it is doing, in a word or two.")
    fraction: float = Field(description="How much of the work is behind it, 0–1.")


class Job(Message):
    """A job as clients see it; times are ISO 8601 in UTC."""

    id: str
    type: JobType = "recommendation"
    status: Status
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None
    expires_at: str | None = None
    links: Links
    metadata: dict[str, str]
    progress: Progress | None = Field(None, description="While a playlist or a diagnosis is running.")
    result: Result | Playlist | Diagnosis | None = None
    error: JobError | None = None
    warnings: list[str] = Field(default_factory=list)


class BatchCounts(Message):
    """What became of a batch's requests."""

    total: int
    waiting: int = Field(description="Not over yet.")
    succeeded: int
    failed: int
    canceled: int


class BatchLinks(Message):
    """Where to ask on."""

    self: str
    results: str
    cancel: str
    events: str

    @classmethod
    def of(cls, batch_id: str) -> BatchLinks:
        """Return the links of a batch."""
        path = f"/v1/batches/{batch_id}"
        return cls(self=path, results=f"{path}/results", cancel=f"{path}/cancel", events=f"{path}/events")


class Batch(Message):
    """Many requests under one id; times are ISO 8601 in UTC. `succeeded`: each request has its answer or its error."""

    id: str
    type: Literal["batch"] = "batch"
    status: Status
    created_at: str
    started_at: str | None
    finished_at: str | None
    expires_at: str | None
    counts: BatchCounts
    links: BatchLinks
    metadata: dict[str, str]
    warnings: list[str] = Field(default_factory=list)
