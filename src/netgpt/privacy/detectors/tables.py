"""Secrets in columns: tables in Markdown, CSV, HTML, and rows that are inserted into a database.

A heading that names a secret alone ("password", "Passwort") makes its column private, as far as the table goes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from netgpt.privacy.detectors.passwords import Name, names_in
from netgpt.privacy.detectors.secret_values import read_value, words
from netgpt.privacy.registry import Prefilter, detector
from netgpt.types import Span

_SIGNS: Final = "|\t;,"
"""What divides columns, the surest first."""
_RULER = re.compile(r"[\s|:+\-=]+")
_CELL: Final = {
    sign: re.compile(rf"[ ]*\"(?:[^\"\n]|\"\")*\"[ ]*(?={re.escape(sign)}|\Z)|[^{re.escape(sign)}\n]*")
    for sign in _SIGNS
}
_MOST_COLUMNS: Final = 60
_LONGEST_LINE: Final = 2_000
_LONGEST_TITLES: Final = 400
_INSERT = re.compile(
    r"(?i)insert\s+(?:ignore\s+)?into\s+[\w.\"`\[\]]{1,60}\s*\((?P<columns>[^()]{1,400})\)\s*values\s*(?=\()"
)
_ROW = re.compile(r"\s{0,4},?\s{0,4}\((?P<cells>(?:'[^'\n]{0,200}'|\"[^\"\n]{0,200}\"|[^()\n'\"]){1,200})\)")
_HEADING_BEFORE = re.compile(r"<th\b[^<>]{0,80}>\s{0,8}(?:<\w{1,6}>)?\Z")
_MARK = re.compile(r"<(?P<mark>t[hdr]|/table)\b[^<>]{0,80}>")


def _may_hold_columns(seen: Prefilter) -> bool:
    return ("\n" in seen.text or "<t" in seen.lowered or "insert" in seen.words) and any(
        part in seen.lowered for part in _parts()
    )


def _parts() -> frozenset[str]:
    return frozenset(word[:4] for word in words()["sure"])


@detector(
    kind="API_KEY",
    family="secret",
    secret=True,
    triggers=_may_hold_columns,
    examples=("user,password\nlena,quietfox", "| user | password |\n|---|---|\n| lena | quietfox |"),
)
def find_columns(text: str) -> Iterator[Span]:
    """Passwords in the column of a table whose heading names them."""
    done = 0
    for name in names_in(text):
        if name.kind == "code" or name.start < done:
            continue
        if _HEADING_BEFORE.search(text, max(0, name.start - 120), name.start):
            places, done = _marked(text, name)
        else:
            places, done = _lines(text, name, done)
        for place in places:
            yield Span(*place, "API_KEY", "pattern:column", 0.8)
    for insert in _INSERT.finditer(text):
        yield from _inserted(text, insert)


def columns_of(text: str, wanted: Callable[[str, list[str]], bool]) -> Iterator[tuple[int, int]]:
    """The cells of every column whose heading is wanted: called with the heading and all headings of its row."""
    at = 0
    while at < len(text):
        end = text.find("\n", at)
        if end < 0:
            return
        sign = (
            next((sign for sign in _SIGNS if sign in text[at:end]), None) if 5 < end - at <= _LONGEST_TITLES else None
        )
        following = end + 1
        if sign is not None and sign in text[following : following + _LONGEST_LINE]:
            cells = _cells(text[at:end], sign)
            titles = [text[at + a : at + b].strip(" \"'`*_\r") for a, b in cells]
            headed = len(titles) > 1 and (sign == "|" or all(titles))
            for column, title in enumerate(titles if headed else ()):
                if title and len(title) <= 30 and wanted(title, titles):
                    places, following = _below(text, end + 1, sign, column, len(cells), secret=False)
                    yield from places
        at = max(following, end + 1)


def _cells(line: str, sign: str) -> list[tuple[int, int]]:
    """Places of the cells of a line; [] where it has none."""
    found: list[tuple[int, int]] = []
    at = 0
    while at <= len(line) and len(found) < _MOST_COLUMNS:
        match = _CELL[sign].match(line, at)
        end = match.end() if match else at
        found.append((at, end))
        at = end + 1
    return found if len(found) > 1 else []


def _lines(text: str, name: Name, done: int) -> tuple[list[tuple[int, int]], int]:
    """The cells below a heading in lines, and where the table ends."""
    begin = text.rfind("\n", max(done, name.start - _LONGEST_LINE), name.start) + 1
    end = text.find("\n", name.end)
    if end < 0 or end - begin > _LONGEST_LINE:
        return [], done
    header = text[begin:end]
    for sign in _SIGNS:
        cells = _cells(header, sign)
        column = next((i for i, (a, b) in enumerate(cells) if a <= name.start - begin < b), None)
        if column is None or not _is_heading(header, cells, column, sign):
            continue
        return _below(text, end + 1, sign, column, len(cells))
    return [], done


def _is_heading(header: str, cells: list[tuple[int, int]], column: int, sign: str) -> bool:
    """Whether the line is a row of headings and this one names a secret and nothing else."""
    titles = [header[a:b].strip(" \"'`*_\r") for a, b in cells]
    if len(titles[column].split()) > 3 or not names_in(titles[column] + " "):
        return False
    if not titles[column].lower().endswith(titles[column][slice(*names_in(titles[column] + " ")[-1][:2])].lower()):
        return False
    if sign in "|\t":
        return True
    listed = words()["function"]
    return all(t and len(t) <= 30 and len(t.split()) <= 3 and not set(t.lower().split()) & listed for t in titles)


def _below(
    text: str, at: int, sign: str, column: int, columns: int, *, secret: bool = True
) -> tuple[list[tuple[int, int]], int]:
    """The cells of a column below a heading, and where the table ends."""
    found = []
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        line = text[at:end].rstrip("\r") if end - at <= _LONGEST_LINE else ""
        if sign not in line:
            break
        cells = [] if _RULER.fullmatch(line) else _cells(line, sign)
        if len(cells) == columns and (
            place := _cell(text, at + cells[column][0], at + cells[column][1], secret=secret)
        ):
            found.append(place)
        at = end + 1
    return found, at


def _cell(text: str, start: int, end: int, *, secret: bool = True) -> tuple[int, int] | None:
    """The value that fills a cell."""
    piece = text[start:end]
    if len(bare := piece.strip(" \t\r\"'`*")) < 3:
        return None
    start += piece.index(bare)
    if not secret:
        return start, start + len(bare)
    found = read_value(text[: start + len(bare)] + "\n", start, stop="\n")
    return found if found and found[1] - found[0] >= len(bare) - 1 else None


def _marked(text: str, name: Name) -> tuple[list[tuple[int, int]], int]:
    """The cells below a heading of an HTML table."""
    begin = max(text.rfind("<tr", max(0, name.start - _LONGEST_LINE), name.start), 0)
    marks = list(_MARK.finditer(text, begin, name.start))
    column = sum(mark["mark"] == "th" for mark in marks) - 1
    found: list[tuple[int, int]] = []
    place, many = -1, column > 0
    at = name.end
    for mark in _MARK.finditer(text, name.end):
        if mark["mark"] == "/table":
            break
        at = mark.end()
        if mark["mark"] == "tr":
            place = -1
        elif mark["mark"] == "th":
            many = many or not found
        else:
            place += 1
            if place == column and many and (value := read_value(text, mark.end(), stop="<")):
                found.append(value)
    return found, at


def _inserted(text: str, insert: re.Match[str]) -> Iterator[Span]:
    columns = [
        text[insert.start("columns") + a : insert.start("columns") + b] for a, b in _cells(insert["columns"], ",")
    ]
    private = {i for i, title in enumerate(columns) if any(n.kind != "code" for n in names_in(title + " "))}
    at = insert.end()
    while private and (row := _ROW.match(text, at)):
        for i, (start, end) in enumerate(_cells(row["cells"], ",")):
            if i in private and (place := _cell(text, row.start("cells") + start, row.start("cells") + end)):
                yield Span(*place, "API_KEY", "pattern:column", 0.8)
        at = row.end()
