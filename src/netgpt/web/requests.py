"""From bytes to a checked `Request`. Errors name the field; values are not echoed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError

from netgpt.context.location import check_location
from netgpt.errors import RequestError
from netgpt.exchange import Request
from netgpt.routing.names import ModelNames
from netgpt.settings.routing import OnLowConfidence, WhenRefused
from netgpt.web.bodies import read_json
from netgpt.web.leniency import tidied

MAX_MESSAGES = 20_000
"""An agent that has worked for days has thousands."""

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


Body = TypeVar("Body", bound=BaseModel)


def checked(kind: type[Body], body: Mapping[str, Any]) -> Body:
    """The body as its model has it; null is as good as left out. Raises RequestError that names the field."""
    try:
        return kind.model_validate({name: value for name, value in body.items() if value is not None})
    except ValidationError as error:
        raise _invalid(error) from None


def parse_chat(raw: bytes, names: ModelNames) -> Request:
    """Check OpenAI's chat body and the `netgpt` field. Raises RequestError or NotFound (unknown model)."""
    return check_chat(read_json(raw), names)


def check_chat(written: Mapping[str, Any], names: ModelNames) -> Request:
    """As `parse_chat`, of a body that was read."""
    body = tidied(written)
    chat = checked(ChatBody, body)
    model = names.find(chat.model)
    _check_not_empty(chat)
    _check_tools(body)
    extension = chat.netgpt or Extension()
    return Request(
        body={**{key: value for key, value in body.items() if key != "netgpt"}, "model": model},
        model=model,
        stream=bool(chat.stream),
        user=chat.user or None,
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
    if last.role == "user" and not any(_has_content(each.content) for each in reversed(body.messages)):
        where = f"messages.{len(body.messages) - 1}.content"
        raise RequestError("the prompt is empty: write something in the last message", param=where)


def _check_tools(body: Mapping[str, Any]) -> None:
    """What every server refuses, refused by the field's name before anything is done."""
    names = set()
    for place, tool in enumerate(body.get("tools") or ()):
        if tool.get("type") != "function":
            names.add(str(tool.get("type")))  # a server's own tool
            continue
        where, function = f"tools.{place}.function", tool.get("function")
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise RequestError(f"{where}.name: a function needs its name, a text", param=f"{where}.name")
        for field, kind, what in (("description", str, "a text"), ("parameters", dict, "a JSON schema")):
            if field in function and not isinstance(function[field], kind):
                raise RequestError(f"{where}.{field}: it should be {what}", param=f"{where}.{field}")
        names.add(function["name"])
    _check_choice(body.get("tool_choice"), names)


def _check_choice(choice: Any, names: set[Any]) -> None:
    if choice is None or choice == "none" or choice == "auto":
        return
    if isinstance(choice, str) and choice != "required":
        raise RequestError('tool_choice: one of "none", "auto", "required", or a tool', param="tool_choice")
    if not names:
        raise RequestError("tool_choice: there are no tools to choose from", param="tool_choice")
    named = choice.get("function") if isinstance(choice, dict) and choice.get("type") == "function" else None
    if isinstance(named, dict) and named.get("name") not in names:
        raise RequestError("tool_choice: tools has no function of that name", param="tool_choice")


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
