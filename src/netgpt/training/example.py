"""What an adapter learns from: pairs of a conversation and its answer, each with its provenance, and their files.

A file holds one JSON object a line, read strictly, with the line named where something is wrong:

    {"messages": [{"role": "user", "content": "..."}], "answer": "..."}     a conversation and its answer
    {"messages": [..., {"role": "assistant", "content": "..."}]}            the same, as OpenAI's fine-tuning files
    {"request": "...", "answer": "..."}                                     one question
    {"request": "...", "facts": ["..."], "completion": "..."}               a prompt to be completed with facts
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from netgpt.completion.rewrite import rewriting
from netgpt.errors import RequestError
from netgpt.files import lines_in
from netgpt.types import Fact, Message, Person

CHARACTERS_A_TOKEN = 4.0
"""A rough estimate for English, for tables before any tokenizer is loaded."""
LONGEST_LINE: Final = 1_000_000
"""Characters. A longer line is no example but a mistake."""
KNOWN: Final = frozenset(
    ("id", "messages", "request", "facts", "answer", "completion", "slice", "options", "origin", "person")
)
ROLES: Final = ("system", "user", "assistant")
_ORIGIN: Final = re.compile(r"[\w.:@+-]{1,200}")


@dataclass(frozen=True)
class Example:
    """One thing to learn. Texts stay out of `repr`: they may be a person's."""

    messages: tuple[Message, ...] = field(repr=False)
    """The conversation up to the answer, as the engine's chat template reads it."""
    answer: str = field(repr=False)
    """What the assistant should say; only this bears loss."""
    origin: str
    """Where it comes from: "recipe:complete", "self-instruct", "exchange:ex_...", "file:NAME:LINE"."""
    person: Person | None = None
    """Whose it is; None: nobody's. One person's examples can be removed."""
    slice: str = "all"
    """The part of the held-out examples that the evaluation reports by: a topic, a data set."""
    options: tuple[str, ...] = ()
    """The closed list of answers when there is one (a class label); empty: free text."""

    @property
    def id(self) -> str:
        """A digest of what is learnt, stable over runs: for splits, duplicates and provenance."""
        return _digest([list(self.messages), self.answer])

    @property
    def prompt_id(self) -> str:
        """A digest of the conversation alone, so that the same question is never on both sides of a split."""
        return _digest(list(self.messages))

    def as_row(self) -> dict[str, Any]:
        """JSON-ready, for files and sealed columns."""
        row: dict[str, Any] = {"messages": list(self.messages), "answer": self.answer, "origin": self.origin}
        if self.person is not None:
            row["person"] = [self.person.tenant, self.person.user]
        if self.slice != "all":
            row["slice"] = self.slice
        if self.options:
            row["options"] = list(self.options)
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read what `as_row` wrote. Raises RequestError: the row is not one of ours."""
        try:
            person = Person(*row["person"]) if row.get("person") else None
            messages = tuple(dict(message) for message in row["messages"])
            answer, origin, slice = str(row["answer"]), str(row["origin"]), str(row.get("slice", "all"))
            return cls(messages, answer, origin, person, slice, tuple(row.get("options", ())))
        except (KeyError, TypeError, ValueError):
            raise RequestError("a kept example cannot be read: it was written by another version") from None

    @property
    def kind(self) -> str:
        """The origin without what tells one example from the next: "recipe:complete", "exchange", "file:NAME"."""
        parts = self.origin.split(":")
        return ":".join(parts[:-1]) if parts[0] in ("exchange", "file") and len(parts) > 1 else self.origin

    @property
    def about_tokens(self) -> int:
        """About how many tokens it has: conversation and answer."""
        texts = sum(len(str(message.get("content") or "")) for message in self.messages)
        return round((texts + len(self.answer)) / CHARACTERS_A_TOKEN) + 4 * (len(self.messages) + 1)


def _digest(value: Any) -> str:
    content = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def digest_of(examples: Iterable[Example]) -> str:
    """One digest of a set of examples, whatever their order."""
    whole = hashlib.sha256()
    for id in sorted(example.id for example in examples):
        whole.update(id.encode())
    return whole.hexdigest()


def held_out(example: Example, share: float = 0.1) -> bool:
    """Whether the example is held out from training: decided by its conversation alone, the same in every run."""
    return int(example.prompt_id[:8], 16) / 0x1_0000_0000 < share


def deduplicated(examples: Iterable[Example]) -> list[Example]:
    """Each example once, in the order given; the same text of two people stays twice: both may withdraw it."""
    known: dict[tuple[str, Person | None], Example] = {}
    for example in examples:
        known.setdefault((example.id, example.person), example)
    return list(known.values())


def split(examples: Sequence[Example], share: float = 0.1) -> tuple[list[Example], list[Example]]:
    """(to learn, held out). The same question is never on both sides."""
    sides: tuple[list[Example], list[Example]] = ([], [])
    for example in examples:
        sides[held_out(example, share)].append(example)
    return sides


@dataclass(frozen=True)
class Summary:
    """Counts over a set of examples. No text, and nobody's name."""

    examples: int
    held_out: int
    tokens: int
    """Estimated from characters."""
    people: int
    origins: dict[str, int]
    slices: dict[str, int]
    digest: str


def summary_of(examples: Sequence[Example], share: float = 0.1) -> Summary:
    """Count by origin and slice; `share` is the held-out part."""
    return Summary(
        examples=len(examples),
        held_out=sum(held_out(example, share) for example in examples),
        tokens=sum(example.about_tokens for example in examples),
        people=len({example.person for example in examples if example.person is not None}),
        origins=dict(Counter(example.kind for example in examples).most_common()),
        slices=dict(Counter(example.slice for example in examples).most_common()),
        digest=digest_of(examples),
    )


def read_examples(path: Path, person: Person | None = None, *, most: int = 200_000) -> Iterator[Example]:
    """The examples of a file, in order; each is `person`'s when one is named.

    Raises RequestError that names file and line, never the text: unreadable, not JSON, a field missing or wrong, more
    than `most`.
    """
    name = re.sub(r"[^\w.-]", "_", path.name)
    found = 0
    for number, line in lines_in(path, RequestError, longest=4 * LONGEST_LINE):
        if len(line) > LONGEST_LINE:
            raise RequestError(f"{path}:{number}: longer than {LONGEST_LINE:,} characters; one example a line")
        if not line.strip():
            continue
        found += 1
        if found > most:
            raise RequestError(
                f"{path}:{number}: more than {most:,} examples. Split the file, or raise training.max_examples."
            )
        yield _parsed(line, f"{path}:{number}", f"file:{name}:{number}", person)
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


def _parsed(line: str, where: str, origin: str, person: Person | None) -> Example:
    try:
        return parse_row(json.loads(line), origin, person)
    except RequestError as error:
        raise RequestError(f"{where}: {error.message}") from None
    except RecursionError:
        raise RequestError(f"{where}: nested too deeply") from None
    except ValueError as error:
        why = error.msg if isinstance(error, json.JSONDecodeError) else "a number that is too long"
        raise RequestError(f"{where}: not JSON: {why}") from None


def _conversation(row: Mapping[str, Any]) -> tuple[list[Message], str]:
    given = [name for name in ("answer", "completion") if name in row]
    if len(given) == 2:
        raise RequestError("give `answer` or `completion`, not both")
    if ("messages" in row) == ("request" in row):
        raise RequestError("give either `messages` or `request`")
    if "request" in row:
        messages = _asked(_text(row["request"], "request"), row.get("facts"))
    else:
        messages = _messages(row["messages"])
        if "facts" in row:
            raise RequestError("`facts` go with `request`; write them into `messages` yourself")
    if given:
        answer = _text(row[given[0]], given[0])
    elif messages[-1]["role"] == "assistant":
        answer = str(messages.pop()["content"])
    else:
        raise RequestError("`answer` is missing: what should the assistant say?")
    if not any(message["role"] == "user" for message in messages) or messages[-1]["role"] == "assistant":
        raise RequestError("the conversation before the answer must end with the user's or the system's words")
    return messages, answer


def _asked(request: str, facts: Any) -> list[Message]:
    """A single question; with facts, the prompt of the `rewrite` mode."""
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
    """Files that NetGPT wrote name the origin of a row; nothing else may claim to be a person's exchange."""
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
