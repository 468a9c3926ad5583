"""The OpenAPI document, made whole: who may call, what the doors take, and the one shape in which all is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel

_TEXT: Final = {"type": "string"}
_ERROR: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "code", "param"],
            "properties": {"message": _TEXT, "type": _TEXT, "code": _TEXT, "param": {"type": ["string", "null"]}},
        }
    },
}
_MEANINGS: Final = {
    400: "The request is wrong; the message names the field.",
    401: "No key or token, or not a right one.",
    403: "Not for this key: its role, its scopes, its person, or the policy.",
    404: "Not there, or somebody else's.",
    405: "No such method here.",
    409: "Not in this state.",
    412: "It is not as it was when it was looked at (`If-Match`).",
    413: "The body is too large.",
    428: "Say what you looked at: `If-Match` with the `ETag`.",
    429: "A limit is reached, this key has more than its share of a busy box, or too many wrong keys were tried; "
    "`Retry-After` tells when to come again.",
    500: "An internal error; the log of the box tells its type.",
    501: "Nothing on this box does that.",
    502: "A model failed.",
    503: "A model, the detector or the identity provider is unavailable, the box is asked more than it can answer in "
    "time (`Retry-After`), or policy keeps the text on the box.",
    504: "A model was silent for too long.",
    507: "The database is full, locked or damaged.",
    508: "The request has come round: a base_url leads back to this box.",
}
_EVERYWHERE: Final = (400, 401, 403, 413, 429, 500, 503, 507)
_OTHERS_IN_A_STATE: Final = (
    ("/v1/profiles/{user}", "delete"), ("/v1/keys", "post"), ("/v1/keys/{key_id}", "delete"), ("/v1/training", "post")
)  # fmt: skip
_LIMIT_HEADERS: Final = {
    f"x-ratelimit-{what}-{of}": {"schema": _TEXT, "description": f"{meaning} {of}; keys with limits only."}
    for of in ("requests", "tokens")
    for what, meaning in (("limit", "Allowed"), ("remaining", "Left"), ("reset", "Time until all is there again:"))
}


def install(app: FastAPI, bodies: Mapping[str, type[BaseModel]]) -> None:
    """Let `/openapi.json` answer with the whole document. `bodies`: what is asked at each door, by path."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = complete_document(plain(), bodies)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def complete_document(document: dict[str, Any], bodies: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    """Add to the framework's document what it cannot know. Changes and returns `document`."""
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Error"] = _ERROR
    for gone in ("HTTPValidationError", "ValidationError"):  # a wrong field is a 400 in our own shape
        schemas.pop(gone, None)
    components["securitySchemes"] = {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "A key (`netgpt keys create`), or a token of the identity provider of `[oidc]`. A box on "
            "loopback on which no key was ever made needs none.",
        }
    }
    components["responses"] = {str(status): _response(status) for status in _MEANINGS}
    for model in bodies.values():
        body = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(body.pop("$defs", {}))
        schemas[model.__name__] = body
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation, bodies.get(path) if method == "post" else None)
    return document


def _complete(path: str, method: str, operation: dict[str, Any], body: type[BaseModel] | None) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    if not path.startswith("/v1/"):
        responses.update(_references((503,) if path == "/readyz" else ()))
        if path == "/metrics":
            responses["200"]["content"] = {"text/plain": {"schema": _TEXT}}
        return
    operation["security"] = [{"bearer": []}]
    statuses: tuple[int, ...] = _EVERYWHERE
    if "{" in path or body is not None or path in ("/v1/feedback", "/v1/exchanges"):
        statuses += (404,)
    if (
        "adapters" in path
        or (path.startswith(("/v1/fleet", "/v1/policy")) and method == "put")
        or path.startswith("/v1/waiting/")
        or (path, method) in _OTHERS_IN_A_STATE
    ):
        statuses += (409,)
    if (path, method) == ("/v1/settings", "patch"):
        statuses += (404, 409, 412, 428)
    if path == "/v1/moderations" or (path, method) == ("/v1/training", "post"):
        statuses += (501,)
    if body is not None:
        statuses += (502, 504, 508)
        schema = {"$ref": f"#/components/schemas/{body.__name__}"}
        operation["requestBody"] = {"required": True, "content": _json(schema)}
        responses["200"] = {
            "description": "The answer; with `stream`, as server-sent events.",
            "content": {
                **_json({"type": "object"}),
                "text/event-stream": {"schema": {"description": "Server-sent events."}},
            },
        }
        responses["202"] = {
            "description": "Nobody could answer, and the request may wait (`netgpt.may_wait`): it is kept and sent "
            "once. `Location` tells where its answer will be.",
            "content": _json({"type": "object"}),
        }
    responses.update(_references(statuses))
    for status, response in responses.items():
        if status.startswith("2"):
            response["headers"] = _LIMIT_HEADERS


def _references(statuses: tuple[int, ...]) -> dict[str, Any]:
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(statuses)}


def _response(status: int) -> dict[str, Any]:
    content = _json({"$ref": "#/components/schemas/Error"})
    response: dict[str, Any] = {"description": _MEANINGS[status], "content": content}
    if status == 429:
        retry = {"schema": {"type": "integer"}, "description": "Seconds."}
        response["headers"] = {"retry-after": retry, **_LIMIT_HEADERS}
    if status == 401:
        response["headers"] = {"www-authenticate": {"schema": _TEXT, "description": "Bearer."}}
    return response


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
