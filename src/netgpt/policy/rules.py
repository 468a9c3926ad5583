"""Reads a Cedar text into its single rules, so that each fault and each verdict can be told with file and line.

Cedar's parser names what it did not expect, but not where. So the text is cut at the semicolons that end its
statements, each statement is parsed alone, and the first line at which it can no longer be right is the one told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from netgpt.errors import SettingsError

__all__ = ["Rule", "read_rules"]

_TOKEN = re.compile(r"//[^\n]*|\"(?:[^\"\\]|\\.)*\"?|;|[^/\";]+|/", re.DOTALL)
_ID = re.compile(r"@id\s*\(\s*\"((?:[^\"\\]|\\.)*)\"\s*\)")
_EFFECT = re.compile(r"\b(permit|forbid)\b\s*\(")
_OPEN_TEXT = "invalid token"
_UNFINISHED = ("unexpected end of input", _OPEN_TEXT)
"""What Cedar says of a beginning that may still become right: a text that a quote has opened is no token yet."""
_CURE = "See `netgpt policy show balanced` for rules that work, and `netgpt policy check` for this file."


@dataclass(frozen=True, slots=True)
class Rule:
    """One `permit` or `forbid`. `line`: where its effect stands, from 1. `says`: the comment above it."""

    id: str
    effect: str
    file: str
    line: int
    says: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"


def read_rules(text: str, file: str) -> list[Rule]:
    """The rules of one file, in order. Raises SettingsError with file and line: what Cedar cannot parse, a rule
    without `@id`, an `@id` used twice, a template (it would allow and forbid nothing)."""
    rules: list[Rule] = []
    seen: dict[str, int] = {}
    for start, statement in _statements(text):
        rule = _rule(text, start, statement, file)
        if rule.id in seen:
            raise SettingsError(
                f'{rule.where}: the @id "{rule.id}" is used in line {seen[rule.id]} already; give each rule its own'
            )
        seen[rule.id] = rule.line
        rules.append(rule)
    return rules


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """(offset, statement) of each statement, its comments and semicolon included."""
    start = 0
    for match in _TOKEN.finditer(text):
        if match[0] == ";":
            yield start, text[start : match.end()]
            start = match.end()
    if _bare(text[start:]).strip():
        yield start, text[start:]


def _rule(text: str, start: int, statement: str, file: str) -> Rule:
    bare = _bare(statement)
    first = text.count("\n", 0, start) + 1
    effect = _EFFECT.search(bare)
    line = first + statement.count("\n", 0, effect.start() if effect else len(bare) - len(bare.lstrip()))
    _check_syntax(statement, file, first)
    named = _ID.search(statement)
    if effect is None or named is None or not named[1].strip():
        raise SettingsError(
            f'{file}:{line}: this rule has no name; write @id("what-it-does") in the line above it. {_CURE}'
        )
    if re.search(r"\?(principal|resource)\b", bare):
        raise SettingsError(f"{file}:{line}: a template decides nothing; write the principal or resource out. {_CURE}")
    return Rule(named[1], effect[1], file, line, _comment(statement), statement.strip())


def _check_syntax(statement: str, file: str, first: int) -> None:
    error = _parse_error(statement)
    if error is None:
        return
    lines = statement.splitlines()
    told = [_parse_error("\n".join(lines[: number + 1])) or "" for number in range(len(lines))]
    wrong = next((n for n, each in enumerate(told) if each and not each.startswith(_UNFINISHED)), len(lines) - 1)
    if error.startswith(_OPEN_TEXT):  # the line in which the text begins that nothing ends
        while wrong > 0 and told[wrong - 1].startswith(_OPEN_TEXT):
            wrong -= 1
    raise SettingsError(f"{file}:{first + wrong}: not a Cedar policy: {told[wrong] or error}. {_CURE}")


def _parse_error(text: str) -> str | None:
    from cedarpy import PolicySet

    try:
        PolicySet.from_str(text)
    except ValueError as error:
        return str(error)
    return None


def _bare(statement: str) -> str:
    """The statement with comments and texts blanked, every character in its place."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0]) if match[0].startswith(("//", '"')) else match[0]

    return _TOKEN.sub(blank, statement)


def _comment(statement: str) -> str:
    """The comment lines right above the rule, as one text."""
    block: list[str] = []
    for line in statement.splitlines():
        stripped = line.strip()
        if stripped.startswith("//"):
            block.append(stripped.lstrip("/ "))
        elif stripped:
            break
        else:
            block = []
    return " ".join(block)
