"""What of the contract is the same for all routes: the problems they may answer with, and shapes told to no route."""

from __future__ import annotations

from typing import Any

from flask_openapi3.models.schema import Schema
from flask_openapi3.openapi import OpenAPI
from pydantic import BaseModel, Field


class Problem(BaseModel):
    """An error: RFC 9457 problem JSON."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable; docs/reference/errors.md lists them.")
    instance: str | None = Field(None, description="Which request this was; the log has it, too.")
    errors: list[dict[str, str]] = Field(default_factory=list, description="For wrong fields: pointer and detail.")
    fallback: dict[str, Any] | None = Field(
        None, description="With 503 for recommendations or a playlist: popular tracks meanwhile, and says so: degraded."
    )


_SCHEMAS = "#/components/schemas/{model}"
_WORDS = {
    400: "cannot be read",
    401: "no valid API key",
    403: "the API key does not allow this",
    404: "no such thing",
    406: "no such format",
    408: "the body did not arrive in time",
    409: "the job has no result",
    410: "expired",
    413: "too large",
    415: "not JSON",
    422: "wrong fields",
    429: "too many requests",
    503: "try again after Retry-After",
}
_ALWAYS = (401, 403, 422, 429, 503)
_WITH_BODY = (400, 408, 413, 415)


def problems(*statuses: int, body: bool = False) -> dict[str | int, Any]:
    """Return the problems of a route, for its `responses`: these, those of every route, and those of bodies."""
    content = {"application/problem+json": {"schema": {"$ref": _SCHEMAS.format(model=Problem.__name__)}}}
    wanted = {*statuses, *_ALWAYS, *(_WITH_BODY if body else ())}
    return {status: {"description": _WORDS[status], "content": content} for status in sorted(wanted)}


def body_of(
    model: type[BaseModel], lines_of: tuple[type[BaseModel], ...], line_types: tuple[str, ...]
) -> dict[str, Any]:
    """Return, as a route's OpenAPI extension, a body that the route reads itself: JSON, or lines of JSON."""
    content: dict[str, Any] = {"application/json": {"schema": {"$ref": _SCHEMAS.format(model=model.__name__)}}}
    shapes = " or ".join(_SCHEMAS.format(model=line.__name__) for line in lines_of)
    text = {"type": "string", "description": f"JSON Lines; each line is one of {shapes}"}
    content |= {kind: {"schema": text} for kind in line_types}
    return {"requestBody": {"required": True, "content": content}}


def describe(app: OpenAPI, *models: type[BaseModel]) -> None:
    """Add the shapes that no route's signature names to the contract."""
    every: tuple[type[BaseModel], ...] = (Problem, *models)
    for model in every:
        schema = model.model_json_schema(ref_template=_SCHEMAS)
        shapes = {**schema.pop("$defs", {}), model.__name__: schema}
        app.components_schemas.update({name: Schema(**shape) for name, shape in shapes.items()})
