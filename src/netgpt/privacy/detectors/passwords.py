"""Passwords, PINs and one-time codes that a word announces, however they are written and in many languages.

A name ("password", "DB_PASS", "пароль", "登录密码") is found first. What may stand between it and its value is a short
list of forms: a sign, "is", a tag, a flag, a default. `secret_values` says how far the value reaches and whether it is
one; `tables` reads columns. A text is looked through once for each beginning of a name, and a form reads a bounded
number of characters from there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from netgpt.privacy.detectors.normalize import lower_case, places
from netgpt.privacy.detectors.secret_values import read_value, strong, words
from netgpt.privacy.registry import Prefilter, detector
from netgpt.types import Span

_UNSPACED = re.compile(r"[\u0900-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0590-\u06ff]")
"""Letters of writings without blanks, or in which endings and prefixes stand at the word."""
_BEFORE: Final = 120
"""Characters before a name that are looked at."""


class Name(NamedTuple):
    """A name of a secret in the text. `kind`: sure (any value), short (also another word) or code (digits)."""

    start: int
    end: int
    kind: str


@lru_cache(maxsize=1)
def _stems() -> dict[str, re.Pattern[str]]:
    """Beginning of a name -> the names that begin so, as one pattern."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for kind, listed in (("sure", "sure"), ("code", "codes"), ("short", "short")):
        for word in sorted(words()[listed], key=lambda word: (-len(word), word)):
            stem = word[: 4 if word.startswith("pass") else 6].partition("_")[0]
            groups.setdefault(stem, []).append((kind, re.escape(word).replace("_", r"[ _\-]?")))
    return {stem: re.compile("|".join(_grouped(found))) for stem, found in groups.items()}


def _grouped(found: list[tuple[str, str]]) -> Iterator[str]:
    for kind in ("code", "sure", "short"):
        if forms := [form for of_kind, form in found if of_kind == kind]:
            yield f"(?P<{kind}>{'|'.join(forms)})"


_CODE_STEMS: Final = ("code", "pin", "number", "passcode", "key")
_CODE_NAME = re.compile(r"(?:code|pin|number|passcode|key)s?")


@lru_cache(maxsize=1)
def _code_before() -> re.Pattern[str]:
    return re.compile(rf"(?:{'|'.join(map(re.escape, sorted(words()['code_of'])))})[ _\-]\Z")


def _may_announce(seen: Prefilter) -> bool:
    return seen.holds_any(_stems(), 2) or (seen.has_digit and "code" in seen.lowered)


def names_in(text: str) -> list[Name]:
    """The names of secrets in a text, in order."""
    lowered = lower_case(text)
    found = []
    for stem, form in _stems().items():
        at = lowered.find(stem)
        while at >= 0:
            match = form.match(lowered, at)
            if match and (name := _bounded(text, Name(*match.span(), match.lastgroup or "sure"))):
                found.append(name)
            at = lowered.find(stem, match.end() if match else at + len(stem))
    found += [
        Name(*match.span(), "code")
        for at in places(lowered, _CODE_STEMS)
        if _code_before().search(lowered, max(0, at - 24), at) and (match := _CODE_NAME.match(lowered, at))
    ]
    return sorted(found)


_SUFFIX = re.compile(r"[_\-.](?P<parts>[A-Za-z]\w{0,24})")


def _bounded(text: str, name: Name) -> Name | None:
    """The name when no letters around it make it another word: "compass", "passwordless", "password_file"."""
    start, end, kind = name
    unspaced = _UNSPACED.match(text, end - 1) is not None
    if text[end : end + 1].isalpha() and not unspaced and not _UNSPACED.match(text, end):
        return None
    before = text[start - 1 : start]
    glued = before.isalpha() and not unspaced and not _UNSPACED.match(before) and (kind != "sure" or end - start < 7)
    if glued and not (before.islower() and text[start].isupper()):  # "compass", but "dbPass"
        return None
    if kind == "code":
        return name
    if suffix := _SUFFIX.match(text, end):
        if any(part in words()["suffixes"] for part in suffix["parts"].lower().split("_")):
            return None
        if suffix[0][0] == "_":
            end = suffix.end()
    return Name(start, end, kind)


_CLOSE: Final = r"(?:\\?[\"'`*_\])]){0,4}"
_NOTE: Final = r"(?:[ ]?\([^()\n]{1,40}\))?"
_FOR: Final = (
    rf"{_NOTE}(?:[ ](?:for|of|to|on|at|in|from|für|zum|zur|vom|von|am|im|pour|du|de|del|della|per|para"
    rf"|do|da|voor|van|til"
    rf"|till|från|od|z|от|для|к)[ ][^\n:=.,;?!|<>→]{{1,40}}?)?{_NOTE}"
)
_TYPED: Final = r"(?:(?:str|string|String|SecretStr|Optional\[str\]|str \| None|\w{1,10}\?)[ ]?=[ ]?)?"
_SIGN = re.compile(
    rf"{_CLOSE}{_FOR}[ \t]{{0,8}}(?P<by>=>|->|→|⇒|»|:=|===?|!==?|\?:|!:|::?|=)[*_`]{{0,3}}[ \t]{{0,8}}"
    rf"(?P<line>\r?\n[ \t]{{0,8}})?{_TYPED}"
)
_DASH = re.compile(rf"{_CLOSE}{_FOR}[ \t]-{{1,2}}[ \t]")
_COPULA = re.compile(
    rf"{_CLOSE}{_FOR}(?P<is>'s|[ ](?:is now|is still|was|is|will be|lautet|ist|war|est|était|es|era|è|é|är|er|jest|je"
    r"|это|adalah|là|είναι|هي|هو|היא|הוא|to|on))[:,]?[ ]{1,2}"
)
_TO: Final = frozenset(("to", "on", "er", "je"))
"""Copulas that are other words, too."""
_SETTING = re.compile(r"(?i)(?:\bset|\bchang\w{1,3}|\breset|\bupdat\w{1,3})\b[^.\n]{0,30}\Z")
_UNSPACED_IS = re.compile(r"[ ]?(?:是|为|為|は|が|는|은|이|가|เป็น|คือ|है)?[ ]{0,2}[「『\"'(]?(?=[!-~]{3})")
_PRINTED = re.compile(r"[!-~]{3,64}")
_TAGS = re.compile(rf"{_CLOSE}:?(?:\s{{0,4}}</?[A-Za-z][^<>\n]{{0,60}}>){{1,6}}\s{{0,4}}(?=[^\s<])")
_ELEMENT = re.compile(r"[^<>\n]{0,60}(?<!/)>\s{0,4}(?=[^\s<])")
_ELEMENT_BEFORE = re.compile(r"<(?:[\w\-]{1,30}:)?[\w.\-]{0,30}\Z")
_QUOTED_NEXT = re.compile(rf"{_CLOSE}[ ]{{1,2}}(?=[\"'`“«「])")
_PAREN = re.compile(
    r"[ ](?:\w{1,16}[ ]){0,3}(?:failed|failure|incorrect|wrong|invalid|rejected|denied|refused"
    r"|mismatch|error|attempt|tried)"
    r"[^\n()]{0,40}\("
)
_PAIRED = re.compile(
    r"[\"'][^<>\n\"']{0,40}?[\s,]{1,12}[\"']?(?:value|default|content|answer)[\"']?[ ]{0,2}[:=][ ]{0,2}(?=[\"'])"
    r"|[\"']?[ ]{0,3}\n[ \t]{1,24}value:[ ]"
)
_GETTER_BEFORE = re.compile(
    r"(?i)(?:get\w{0,24}|fetch|env|environ|config|settings?|put\w{0,12}|set\w{0,16}|append|header|property|default"
    r"|option|type|fill|send_keys)[(\[]\s{0,4}[frbu]?[\"'][\w.\-]{0,40}\Z"
)
_COMMA = re.compile(r"[\"'],\s{0,4}(?:default\s?=\s?|value\s?=\s?)?(?=[frbu]?[\"'`])")
_ELSE = re.compile(
    r"[\"'\])]{0,4}[ ]{0,2}(?:\|\||\?\?|\bor\b|\?:|\|[ ]?default[ ]?\([ ]?(?:value[ ]?=)?)[ ]{0,4}(?=[\"'`])"
)
_SHELL_BEFORE = re.compile(r"\$\{[\w.\-]{0,40}\Z")
_SHELL_ELSE = re.compile(r"(?::?[\-=+?]|:)(?=[^}\n]{1,200}\})")
_DIRECT = re.compile(rf"{_CLOSE}[ \t]{{1,4}}")
_DIRECT_BEFORE = re.compile(r"(?:\bset[ ]-\w{1,3}|\bset|\bsetx|\bsetenv|\bENV|\bARG|\bexport)[ ](?:\w{1,24}_)?\Z")
_FLAG_BEFORE = re.compile(r"(?<![\w-])--?[\w\-]{0,24}\Z")
_USER_BEFORE = re.compile(
    r"(?i)(?:user(?:[ _]?name)?|log-?in|id|e-?mail|account|acct|name|benutzer(?:name)?|usuario"
    r"|utilisateur|utente|用户名?|账号)"
    r"[ ]?[/:|,&+][ ]?\Z"
)
_PAIR = re.compile(r"[\"'`]?[\w.@+\-]{1,60}[ ]?[/:|,][ ]?(?=[^\s/])")


@detector(
    kind="API_KEY",
    family="secret",
    secret=True,
    triggers=_may_announce,
    examples=("password: hunter2xyz", "The password for the wifi is strawberry.", "my PIN is 4711"),
)
def find_passwords(text: str) -> Iterator[Span]:
    """Passwords, PINs and one-time codes behind a word that announces them, in many languages and notations."""
    done = 0
    found = names_in(text)
    for name in found:
        if name.start < done:
            continue
        for start, end in _codes(text, name) if name.kind == "code" else _values(text, name):
            done = max(done, end)
            yield Span(start, end, "API_KEY", "pattern:password", 0.8)
    if any(name.kind == "sure" for name in found):
        for start, end in _changed(text, found):
            yield Span(start, end, "API_KEY", "pattern:password", 0.7)


def _values(text: str, name: Name) -> Iterator[tuple[int, int]]:
    head = text[max(0, name.start - _BEFORE) : name.start]
    value = _behind(text, name, head)
    if value is not None:
        yield value
    if (used := _used_as(text, name, head)) is not None:
        yield used


def _behind(text: str, name: Name, head: str) -> tuple[int, int] | None:
    """The value of a name: the first form that fits decides."""
    at = name.end
    if _SHELL_BEFORE.search(head) and (match := _SHELL_ELSE.match(text, at)):
        return read_value(text, match.end(), stop="}")
    if _GETTER_BEFORE.search(head) and (match := _COMMA.match(text, at)):
        return read_value(text, match.end())
    if match := _SIGN.match(text, at):
        return _signed(text, name, head, match)
    if _ELEMENT_BEFORE.search(head) and (match := _ELEMENT.match(text, at)):
        return read_value(text, match.end(), stop="<")
    if (match := _TAGS.match(text, at)) and (found := read_value(text, match.end(), stop="<")):
        return found
    if name.kind == "sure" and (match := _PAREN.match(text, at)):
        return read_value(text, match.end(), stop=")")
    for form in (_ELSE, _PAIRED):
        if match := form.match(text, at):
            return read_value(text, match.end())
    return _said(text, name, head)


def _signed(text: str, name: Name, head: str, match: re.Match[str]) -> tuple[int, int] | None:
    """Behind ":", "=", "->" and the like; "user/pass: lena/..." names two things."""
    at, by = match.end(), match["by"]
    if _USER_BEFORE.search(head) and (pair := _PAIR.match(text, at)):
        return read_value(text, pair.end())
    if by in ("==", "===", "!=", "!=="):
        return read_value(text, at) if text[at : at + 1] in "\"'`" else None
    if match["line"]:
        found = read_value(text, at)
        alone = found is not None and text[found[1] : found[1] + 2].lstrip("\"' .")[:1] in ("", "\n", "\r")
        return found if found and alone and strong(text[slice(*found)]) else None
    if _own(head, by) and text[at : at + 1].isalpha():
        found = read_value(text, at, weak=False)
        return None if found and text[slice(*found)].isidentifier() else found
    return read_value(text, at, weak=name.kind == "sure" or by != "=" or not head[-1:].isalpha())


def _own(head: str, by: str) -> bool:
    """Whether a field of an object is set: what stands there without quotes is a variable."""
    return (
        by == "="
        and re.search(r"(?:\bself\.|\bthis\.|\$this->|(?<!\w)@|\b(?:const|let|var|val|final)[ ])\w{0,30}\Z", head)
        is not None
    )


def _said(text: str, name: Name, head: str) -> tuple[int, int] | None:
    """Behind "is", a dash, a quote, a flag, or nothing."""
    at, sure = name.end, name.kind == "sure"
    if _FLAG_BEFORE.search(head) or _DIRECT_BEFORE.search(head):
        match = _DIRECT.match(text, at)
        return (
            read_value(text, match.end(), prose=True) if match and text[match.end() : match.end() + 1] != "-" else None
        )
    if match := _COPULA.match(text, at):
        setting = match["is"].strip() == "to" and _SETTING.search(head) is not None
        plainly = match["is"].strip() not in _TO
        weak = sure and (setting or plainly)
        if (plainly or sure) and (found := read_value(text, match.end(), weak=weak, prose=True)):
            return found
    line = head.rpartition("\n")[2]
    if (match := _DASH.match(text, at)) and len(line.split()) <= 3 and not line.rstrip().endswith((".", "?", ":")):
        return read_value(text, match.end(), weak=sure, prose=True)
    if sure and (match := _QUOTED_NEXT.match(text, at)):
        return read_value(text, match.end())
    if (
        _UNSPACED.match(text, at - 1)
        and (match := _UNSPACED_IS.match(text, at))
        and (run := _PRINTED.match(text, match.end()))
    ):
        found = read_value(text[: run.end()], match.end(), weak=False)
        return found
    if match := _DIRECT.match(text, at):
        found = read_value(text, match.end(), weak=False, prose=True)
        mixed = (
            found is not None
            and any(c.isdigit() for c in text[slice(*found)])
            and any(c.isalpha() for c in text[slice(*found)])
        )
        return found if mixed and (sure or name.end - name.start > 4) else None
    return None


_AS_BEFORE = re.compile(
    r"(?:^|[\s(\"'])(?P<value>[^\n]{2,60}?)[\"'`]?[ ](?:as|als|comme|como|come|som|jako|как)"
    r"(?:[ ](?:my|the|a|an|his|her|our|their|your|mein|meine|das|mon|le|mi|la|mio|minha|mit))?"
    r"(?:[ ][\w\-]{1,14}){0,2}[ ]\Z"
)
_USING = re.compile(
    r"(?i)\b(?:used?|uses|using|set|chose|choose|had|have|put|entered|typed|took|tried|try|with|picked)[ ]+[\"'`]?"
)


def _used_as(text: str, name: Name, head: str) -> tuple[int, int] | None:
    """ "I always used strawberry as password": the value stands before the name."""
    if name.kind != "sure" or (match := _AS_BEFORE.search(head)) is None:
        return None
    following = text[name.end : name.end + 24]
    if re.match(r"[ ](?!for|on|in|and|but|since|to|everywhere|at|when|until|so|again)[^\W\d_]", following):
        return None  # "as password hasher"
    offset = name.start - len(head)
    start, end = match.span("value")
    verbs = list(_USING.finditer(head, 0, end))
    if verbs and verbs[-1].end() < end:
        start = verbs[-1].end()
        found = read_value(text[: offset + end], offset + start, prose=True)
        return found if found and found[1] >= offset + end - 1 else None
    start = max(head.rfind(" ", 0, end), head.rfind("\n", 0, end)) + 1
    return read_value(text[: offset + end], offset + start, weak=False)


_FROM_TO = re.compile(
    r"(?i)\b(?:chang\w{1,3}|switch\w{0,3}|updat\w{1,3}|rotat\w{1,3}|reset)[ ](?:it|them|mine|(?:my|the"
    r"|our|his|her)(?:[ ][\w\-]{1,16}){1,4}?)"
    r"[ ]from[ ](?P<old>[^\n]{3,60}?)[ ]to[ ](?P<new>)"
)
_NEAR: Final = 150
_OWNED = re.compile(r"(?i)\b(?:old|new|my|previous|current|former|same|other|his|her|our|their)[ ](?:\w{1,8}[ ])?\Z")


def _changed(text: str, found: list[Name]) -> Iterator[tuple[int, int]]:
    """ "I changed it from ... to ..." beside a word for a password."""
    places = [name.start for name in found if name.kind == "sure"]
    for match in _FROM_TO.finditer(text):
        near = [place for place in places if match.start() - _NEAR <= place <= match.end() + _NEAR]
        if not near:
            continue
        weak = any(_OWNED.search(text, max(0, place - 12), place) for place in near)
        old = read_value(text[: match.end("old")], match.start("old"), weak=weak, prose=True)
        if old and old[1] >= match.end("old") - 1:
            yield old
        if new := read_value(text, match.start("new"), weak=weak, prose=True):
            yield new


_CODE_VALUE = re.compile(
    rf"{_CLOSE}{_FOR}(?:'s|[ ]{{0,3}}(?:[:=#\-]|is|was|ist|lautet|est|es|è|é|är|jest|это|是|为|為|は|は|는"
    rf"|은)?)[ ]{{0,3}}[\"'*`(]{{0,3}}"
    r"(?P<value>\d{2,4}(?:[ \-]\d{2,4}){1,5}(?![\w.]|[ ]\d)|(?:[A-Z]{1,3}-)?\d{3,10}(?![\w.,]?\d|[A-Za-z_])"
    r"|(?=[A-Za-z\-]{0,24}\d)[A-Za-z0-9]{4,8}(?:-[A-Za-z0-9]{4,8}){0,7}(?![\w.]\w))"
)
_MORE_CODES = re.compile(
    r"[ ]?[,;\n ][ \n]{0,4}(?P<value>(?=[A-Za-z\-]{0,24}\d)[A-Za-z0-9]{4,8}-[A-Za-z0-9]{4,8})(?!\w)"
)
_MEASURE = re.compile(r"[ ](?:characters?|digits?|letters?|times|minutes|seconds|hours|days|points|people|of|to|and)\b")


def _codes(text: str, name: Name) -> Iterator[tuple[int, int]]:
    """A number, or groups of letters and digits; after recovery codes more of them."""
    match = _CODE_VALUE.match(text, name.end)
    word = text[name.start : name.end].lower()
    if match is None or _MEASURE.match(text, match.end()):
        return
    value = match["value"]
    digits = sum(c.isdigit() for c in value)
    if digits < (
        3 if word.startswith(("cv", "prüf")) or "security" in text[max(0, name.start - 12) : name.start].lower() else 4
    ):
        return
    while match is not None:
        yield match.span("value")
        match = _MORE_CODES.match(text, match.end()) if "-" in value else None
