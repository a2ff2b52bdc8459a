"""Requests for playlists, and for what is to be said of one."""

from __future__ import annotations

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag

from api.contract import problems
from api.submitting import SubmitHeaders, submit
from api.webhook_shapes import DoctorSubmission, PlaylistSubmission
from producer import queue
from producer.jobs import Job

playlists = APIBlueprint("playlists", __name__, url_prefix="/v1/playlists")
_TAG = Tag(name="Playlists", description="Songs in an order that flows.")


@playlists.post(
    "",
    summary="Ask for a playlist",
    tags=[_TAG],
    responses={200: Job, 202: Job, **problems(body=True)},
)
def make(header: SubmitHeaders, body: PlaylistSubmission) -> Response:
    """Queue a request for a playlist: from seeds, from a playlist to extend, or along waypoints.

    202 with the job; `Location` says where to ask for its result. 200 if it is over already.
    """
    return submit(queue.playlist, header, body)


@playlists.post(
    "/doctor",
    summary="Have a playlist looked at",
    tags=[_TAG],
    responses={200: Job, 202: Job, **problems(body=True)},
)
def diagnose(header: SubmitHeaders, body: DoctorSubmission) -> Response:
    """Queue a playlist to be looked at: how well its songs go together, which do not fit, and what would mend it.

    202 with the job; `Location` says where to ask for its result. 200 if it is over already.
    """
    return submit(queue.diagnose, header, body)
