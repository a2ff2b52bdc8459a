"""The contract for people: `/openapi.json`, and `/docs` to read and try it. No other host is contacted."""

from __future__ import annotations

from pathlib import Path

import flask_openapi3_swagger
from flask import Blueprint, Response, current_app, jsonify, render_template, send_from_directory

docs = Blueprint("docs", __name__)

_SWAGGER_UI = Path(flask_openapi3_swagger.__file__).parent / "templates" / "swagger"
_FILES = {"swagger-ui.css": "css", "swagger-ui-bundle.js": "js"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


@docs.get("/openapi.json")
def openapi() -> Response:
    """Return the OpenAPI 3.1 document, made from the routes and their models."""
    return jsonify(current_app.api_doc)  # type: ignore[attr-defined]  # flask_openapi3's app has it


@docs.get("/docs")
def read() -> Response:
    """Show the contract with forms to try it."""
    response = Response(render_template("docs.html"), content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _POLICY
    return response


@docs.get("/docs/<name>")
def file(name: str) -> Response:
    """Send one of the page's files: Swagger UI's, as its package has them, or the few lines that start it."""
    folder = _SWAGGER_UI / _FILES[name] if name in _FILES else Path(__file__).parent / "static" / "docs"
    response = send_from_directory(folder, name, max_age=86_400)
    response.headers["Content-Security-Policy"] = "default-src 'none'"
    return response
