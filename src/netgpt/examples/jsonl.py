"""Examples in files: one JSON object a line, read strictly, with the line named where something is wrong.

{"messages": [{"role": "user", "content": "..."}], "answer": "..."}      a conversation and its answer
{"messages": [..., {"role": "assistant", "content": "..."}]}             the same, as OpenAI's fine-tuning files
{"request": "...", "answer": "..."}                                      one question
{"request": "...", "facts": ["..."], "completion": "..."}                a prompt to be completed with facts
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from netgpt.completion.rewrite import rewriting
from netgpt.errors import RequestError
from netgpt.examples.example import Example
from netgpt.types import Fact, Message, Person

__all__ = ["parse_row", "read_examples"]

LONGEST_LINE: Final = 1_000_000
"""Characters. A longer line is no example but a mistake."""
KNOWN: Final = frozenset(
    ("id", "messages", "request", "facts", "answer", "completion", "slice", "options", "origin", "person")
)
ROLES: Final = ("system", "user", "assistant")
_ORIGIN: Final = re.compile(r"[\w.:@+-]{1,200}")


def read_examples(path: Path, person: Person | None = None, *, most: int = 200_000) -> Iterator[Example]:
    """The examples of a file, in order; each is `person`'s when one is named.

    Raises RequestError that names file and line, never the text: unreadable, not JSON, a field missing or wrong, more
    than `most`.
    """
    name = re.sub(r"[^\w.-]", "_", path.name)
    found = 0
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(_lines(file, path), 1):
                if not line.strip():
                    continue
                found += 1
                if found > most:
                    raise RequestError(
                        f"{path}:{number}: more than {most:,} examples. Split the file, or raise training.max_examples."
                    )
                yield _parsed(line, f"{path}:{number}", f"file:{name}:{number}", person)
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RequestError(f"{path}: not UTF-8. Save it as UTF-8, one JSON object a line.") from None
    if not found:
        raise RequestError(f"{path}: holds no example. Each line is an object with `messages` or `request`.")


def parse_row(row: Any, origin: str, person: Person | None = None) -> Example:
    """One object as an example. Raises RequestError that says which field is wrong."""
    if not isinstance(row, dict):
        raise RequestError('not an object such as {"request": "...", "answer": "..."}')
    if unknown := sorted(set(row) - KNOWN):
        raise RequestError(f"unknown field {unknown[0][:40]!r}; known are {', '.join(sorted(KNOWN))}")
    messages, answer = _conversation(row)
    options = _options(row.get("options", []))
    if options and answer not in options:
        raise RequestError("`answer` is none of the `options`")
    return Example(
        messages=tuple(messages),
        answer=answer,
        origin=_origin(row.get("origin"), origin),
        person=person or _person(row.get("person")),
        slice=_text(row.get("slice", "all"), "slice"),
        options=options,
    )


def _lines(file: Iterable[str], path: Path) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        if len(line) > LONGEST_LINE:
            raise RequestError(f"{path}:{number}: longer than {LONGEST_LINE:,} characters; one example a line")
        yield line


def _parsed(line: str, where: str, origin: str, person: Person | None) -> Example:
    try:
        return parse_row(json.loads(line), origin, person)
    except RequestError as error:
        raise RequestError(f"{where}: {error.message}") from None
    except RecursionError:
        raise RequestError(f"{where}: nested too deeply") from None
    except ValueError as error:
        told = error.msg if isinstance(error, json.JSONDecodeError) else "a number that is too long"
        raise RequestError(f"{where}: not JSON: {told}") from None


def _conversation(row: Mapping[str, Any]) -> tuple[list[Message], str]:
    said = [name for name in ("answer", "completion") if name in row]
    if len(said) == 2:
        raise RequestError("give `answer` or `completion`, not both")
    if ("messages" in row) == ("request" in row):
        raise RequestError("give either `messages` or `request`")
    if "request" in row:
        messages = _asked(_text(row["request"], "request"), row.get("facts"))
    else:
        messages = _messages(row["messages"])
        if "facts" in row:
            raise RequestError("`facts` go with `request`; write them into `messages` yourself")
    if said:
        answer = _text(row[said[0]], said[0])
    elif messages[-1]["role"] == "assistant":
        answer = str(messages.pop()["content"])
    else:
        raise RequestError("`answer` is missing: what should the assistant say?")
    if not any(message["role"] == "user" for message in messages) or messages[-1]["role"] == "assistant":
        raise RequestError("the conversation before the answer must end with the user's or the system's words")
    return messages, answer


def _asked(request: str, facts: Any) -> list[Message]:
    """A lone question; with facts, what the completing model is asked in `rewrite` mode."""
    if facts is None:
        return [{"role": "user", "content": request}]
    if not isinstance(facts, list):
        raise RequestError("`facts` must be a list of texts")
    body = rewriting(request, [Fact(_text(fact, "facts"), "given") for fact in facts])
    return [dict(message) for message in body["messages"]]


def _messages(given: Any) -> list[Message]:
    if not isinstance(given, list) or not given:
        raise RequestError("`messages` must be a list with at least one message")
    messages = []
    for message in given:
        if not isinstance(message, dict) or set(message) != {"role", "content"} or message["role"] not in ROLES:
            raise RequestError(f"each message has a `role` ({', '.join(ROLES)}) and a `content`, and nothing else")
        messages.append({"role": message["role"], "content": _text(message["content"], "content")})
    return messages


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise RequestError(f"`{name}` must be a text that is not empty")
    if "\x00" in value or any("\ud800" <= c <= "\udfff" for c in value):
        raise RequestError(f"`{name}` holds characters that are no text")
    return value


def _origin(value: Any, default: str) -> str:
    """Files that we wrote say where a row came from; nothing else may claim to be a person's exchange."""
    if value is None:
        return default
    if not isinstance(value, str) or not _ORIGIN.fullmatch(value):
        raise RequestError("`origin` must be a short name such as recipe:mine")
    return value


def _person(value: Any) -> Person | None:
    if value is None:
        return None
    if isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) and part for part in value):
        return Person(*value)
    raise RequestError("`person` must be [tenant, user]")


def _options(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise RequestError("`options` must be a list of texts")
    return tuple(_text(option, "options") for option in value)
