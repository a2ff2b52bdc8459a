"""What is refused before a view sees it: what the front did not take in, and query parameters that mean nothing."""

from __future__ import annotations

from flask import Response, current_app, request
from pydantic import BaseModel, ConfigDict, ValidationError

from api.errors import invalid_fields, problem
from api.wsgi import REFUSED


def refuse_what_did_not_arrive() -> Response | None:
    """Answer for a body that was too large, or too slow: the front has no words of its own."""
    refused = request.environ.get(REFUSED)
    return problem(*refused) if refused else None


class NoParameters(BaseModel):
    """What an address takes that has no model for its query parameters; those that have one forbid others, too."""

    model_config = ConfigDict(extra="forbid")


def refuse_unknown_parameters() -> Response | None:
    """Refuse query parameters below /v1 where none are taken: a misspelt one must not be ignored. See NoParameters."""
    if not request.args or not request.path.startswith("/v1/") or request.endpoint is None:
        return None
    if "query" in current_app.view_functions[request.endpoint].__annotations__:
        return None
    try:
        NoParameters.model_validate(request.args.to_dict())
    except ValidationError as error:
        return invalid_fields(error)
    return None
