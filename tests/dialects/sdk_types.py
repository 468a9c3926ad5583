"""Checks a body against the parameter types that the clouds' own SDKs publish."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from anthropic.types import message_create_params
from openai.types.responses import response_create_params
from pydantic import TypeAdapter

__all__ = ["faults_of"]


@cache
def _adapter(dialect: str) -> TypeAdapter[Any]:
    params = response_create_params if dialect == "responses" else message_create_params
    name = "ResponseCreateParams" if dialect == "responses" else "MessageCreateParams"
    return TypeAdapter(getattr(params, f"{name}Base"))


def faults_of(dialect: str, body: Mapping[str, Any]) -> list[str]:
    """The fields that the SDK's types do not have; raises ValidationError for what is of another type. `stream` stands
    in the types of both kinds of requests alone."""
    said = {name: value for name, value in body.items() if name != "stream"}
    return list(_missing(said, _whole(_adapter(dialect).validate_python(said)), ""))


def _whole(value: Any) -> Any:
    """Lists that pydantic validates only when they are read."""
    if isinstance(value, dict):
        return {name: _whole(each) for name, each in value.items()}
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        return value
    return [_whole(each) for each in value]


def _missing(said: Any, known: Any, where: str) -> list[str]:
    if isinstance(said, dict) and isinstance(known, dict):
        lost = [f"{where}.{name}" for name in said.keys() - known.keys()]
        return lost + [
            fault
            for name in said.keys() & known.keys()
            for fault in _missing(said[name], known[name], f"{where}.{name}")
        ]
    if isinstance(said, list) and isinstance(known, list):
        return [
            fault
            for n, (one, other) in enumerate(zip(said, known, strict=True))
            for fault in _missing(one, other, f"{where}.{n}")
        ]
    return [] if said == known else [f"{where}: {said!r} is read as {known!r}"]
