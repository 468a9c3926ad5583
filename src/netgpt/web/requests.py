"""From bytes to a checked `Request`. Errors name the field; values are not echoed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError

from netgpt.context.location import check_location
from netgpt.errors import NotFound, PayloadTooLarge, RequestError
from netgpt.exchange import Request
from netgpt.settings.routing import OnLowConfidence, WhenRefused

MAX_MESSAGES = 2_000
MAX_VALUES = 100_000
"""Values and fields within a body: an agent's request of 1 MB with hundreds of tools has about 30,000."""
MAX_DEPTH = 64
"""Levels of lists and objects within a body; later recursion over a body is then safe."""

Name = Annotated[StrictStr, Field(max_length=256)]
Number = Annotated[float, Field(strict=False, allow_inf_nan=False)]


class ChatMessage(BaseModel):
    model_config = ConfigDict(extra="allow")
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: StrictStr | list[dict[str, Any]] | None = None
    name: StrictStr | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: StrictStr | None = None


class Extension(BaseModel):
    """The extra field `netgpt`."""

    model_config = ConfigDict(extra="forbid")
    location: dict[str, Any] | None = None
    consent: list[Literal["location"]] = []
    complete: Literal["select", "rewrite", "off"] | None = None
    explain: StrictBool = False
    dry_run: StrictBool = False
    conversation: Name | None = None
    prefer: Literal["quality", "balanced", "cheap", "fast", "private"] | None = Field(
        None, description="What counts more where the box decides; null: as the key or the settings say."
    )
    fallback: WhenRefused | None = Field(
        None, description="After which failures another model may answer; null: as the key or the settings say."
    )
    deadline_s: Annotated[Number, Field(gt=0, le=86_400)] | None = Field(
        None, description="Seconds in which the whole answer is wanted; never more than server.deadline_s."
    )
    constraints: StrictBool = Field(
        True, description="Whether private facts that stay here may choose among the answer's options."
    )
    may_wait: StrictBool = Field(
        False, description="Where nobody can answer now, keep it and send it once when somebody can (202)."
    )
    on_low_confidence: OnLowConfidence | None = Field(
        None, description="An answer that the box is not sure of: say so, answer without a word, or refuse (422)."
    )


class ChatBody(BaseModel):
    """OpenAI's chat request: the fields whose shape we rely on. Others pass as they are."""

    model_config = ConfigDict(extra="allow")
    model: Name = "netgpt"
    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES)
    stream: StrictBool | None = None
    stream_options: dict[str, Any] | None = None
    n: Annotated[StrictInt, Field(ge=1, le=16)] | None = None
    max_tokens: Annotated[StrictInt, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[StrictInt, Field(ge=1)] | None = None
    temperature: Annotated[Number, Field(ge=0, le=2)] | None = None
    top_p: Annotated[Number, Field(ge=0, le=1)] | None = None
    presence_penalty: Annotated[Number, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[Number, Field(ge=-2, le=2)] | None = None
    seed: StrictInt | None = None
    stop: StrictStr | list[StrictStr] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: StrictStr | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    user: Name | None = None
    netgpt: Extension | None = None


def read_json(raw: bytes) -> dict[str, Any]:
    """A JSON object. Raises RequestError, which names where the text stops being JSON, and PayloadTooLarge."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise RequestError(
            f"the body is not valid JSON: line {error.lineno}, column {error.colno}", code="invalid_json"
        ) from None
    if not isinstance(body, dict):
        raise RequestError("the body must be a JSON object", code="invalid_json")
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH or raw.count(b",") > MAX_VALUES:
        _check_shape(body)
    return body


def _check_shape(body: dict[str, Any]) -> None:
    """Raises RequestError, PayloadTooLarge. Counts without recursion, and no further than needed."""
    depth, values = 0, 0
    level: list[Any] = [body]
    while level:
        depth += 1
        values += sum(map(len, level))
        if depth > MAX_DEPTH:
            raise RequestError(f"the body is nested deeper than {MAX_DEPTH} levels", code="invalid_json")
        if values > MAX_VALUES:
            raise PayloadTooLarge(f"the body has more than {MAX_VALUES} values and fields; send less at once")
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, (dict, list))
        ]


def parse_chat(raw: bytes, known_models: frozenset[str]) -> Request:
    """Check OpenAI's chat body and the `netgpt` field. Raises RequestError or NotFound (unknown model)."""
    return check_chat(read_json(raw), known_models)


def check_chat(body: Mapping[str, Any], known_models: frozenset[str]) -> Request:
    """As `parse_chat`, of a body that was read."""
    try:
        checked = ChatBody.model_validate(body)
    except ValidationError as error:
        raise _invalid(error) from None
    if checked.model not in known_models:
        raise NotFound(
            f"no model of that name here; the models are: {', '.join(sorted(known_models))}",
            code="model_not_found",
            param="model",
        )
    _check_not_empty(checked)
    extension = checked.netgpt or Extension()
    return Request(
        body={key: value for key, value in body.items() if key != "netgpt" and value is not None},
        model=checked.model,
        stream=bool(checked.stream),
        user=checked.user or None,
        complete=extension.complete,
        location=check_location(extension.location) if extension.location is not None else None,
        consent=frozenset(extension.consent),
        explain=extension.explain,
        dry_run=extension.dry_run,
        conversation=extension.conversation,
        prefer=extension.prefer,
        fallback=extension.fallback,
        deadline_s=extension.deadline_s,
        constraints=extension.constraints,
        may_wait=extension.may_wait,
        on_low_confidence=extension.on_low_confidence,
    )


def _check_not_empty(body: ChatBody) -> None:
    last = body.messages[-1]
    if last.role == "user" and not _has_content(last.content):
        where = f"messages.{len(body.messages) - 1}.content"
        raise RequestError("the prompt is empty: write something in the last message", param=where)


def _has_content(content: str | list[dict[str, Any]] | None) -> bool:
    if isinstance(content, str):
        return bool(content.strip())
    return any(part.get("type") != "text" or str(part.get("text") or "").strip() for part in content or ())


def _invalid(error: ValidationError) -> RequestError:
    fault = error.errors(include_input=False, include_url=False)[0]
    # Union branches add the name of the type to the path ("content.str"): the caller knows only the field.
    parts = [str(part) for part in fault["loc"] if not (isinstance(part, str) and ("[" in part or part == "str"))]
    where = ".".join(parts)
    return RequestError(f"{where}: {fault['msg']}", param=where)
