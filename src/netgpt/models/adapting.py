"""What one server does not take, learnt from its own refusals and remembered while the gateway runs.

A request that was refused for the name of a field, for a field or for a role is put otherwise and sent again, and the
next ones are put so at once. Nothing is ever added: `Outbound.adapted` drops and renames. What the caller would miss is
not dropped silently: see `_HINTS` and `Outbound.left_out`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping
from typing import Any, Final

import orjson

from netgpt.errors import ModelError, ModelMisconfigured
from netgpt.models.refusals import Told
from netgpt.outbound import RENAMES, Outbound, marked_places

log = logging.getLogger(__name__)

MOST_CHANGES: Final = 6
"""So often one request is put otherwise."""
_HINTS: Final = frozenset({
    "temperature", "top_p", "top_k", "min_p", "top_a", "typical_p", "presence_penalty", "frequency_penalty",
    "repetition_penalty", "repeat_penalty", "seed", "logit_bias", "reasoning_effort", "reasoning", "verbosity",
    "thinking", "cache_control", "context_management", "user", "metadata", "store", "service_tier",
    "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
})  # fmt: skip
"""Fields that an answer can do without: the caller is told that they were left out. Without others (several choices, a
schema, tools, one call at a time, a stop) it would be another answer: there the refusal is passed on."""
_SILENT: Final = frozenset({"stream", "stream_options"})
"""How the answer travels: the box counts the usage, and whatever comes is streamed to who wanted a stream."""
_MARKS: Final = frozenset({
    "cache_control", "prompt_cache_breakpoint", "thinking_blocks", "reasoning_details", "reasoning_content",
    "extra_content", "provider_specific_fields", "thought_signature",
})  # fmt: skip
"""Fields of messages, parts, calls and tools that the makers of some models read, and servers of others refuse."""
_DEFAULTS: Final[Mapping[str, tuple[Any, ...]]] = {
    "temperature": (1, 1.0), "top_p": (1, 1.0), "presence_penalty": (0,), "frequency_penalty": (0,), "n": (1,),
    "parallel_tool_calls": (True,), "logprobs": (False,), "top_logprobs": (0,), "store": (False,), "stop": ([], ""),
    "tool_choice": ("auto", "none"), "response_format": ({"type": "text"},), "tools": ([],), "modalities": (["text"],),
    "logit_bias": ({},), "metadata": ({},), "service_tier": ("auto", "default"),
}  # fmt: skip
"""Values that say what is so without them."""

_REFUSES: Final = re.compile(
    r"unsupported|unknown|unrecogni[sz]ed|unexpected|extra[_ ](inputs|forbidden|fields)|additional propert|forbidden"
    r"|\b(not|n't|nor) (currently |yet |be )?(a )?"
    r"(support|permit|allow|accept|recogni|available|implement|valid|known|enabled)|only the default"
    r"|only (allowed|supported|permitted|valid|available)|invalid (parameter|argument|field|key|option|property)"
    r"|no such (parameter|field)|deprecated|disabled|cannot (both|be (set|used|specified|combined))"
    r"|incompatible|not_supported|\buse '?max_"
)
_OF_ITS_VALUE: Final = re.compile(
    r"at (most|least)|less than|greater than|between|in the range|out of range|too (large|small|long|many|big|high|low)"
    r"|must be (an? |of |<|>|\d|in )|valid (integer|number|string|dictionary|list|boolean)|above_max|below_min"
)
"""A bound or a type: the field is taken, with another value, and the caller has to give it."""
_AT_TIMES: Final = re.compile(
    r"only (\w+ )?(when|if|with)\b|cannot both|cannot be (used|combined|specified) (with|together)|incompatible|unless"
    r"|requires?\b|together|at the same time|in combination"
)
"""The field is refused beside others: nothing to remember."""
_NAMED: Final = (
    r"['\"`#/](?:#/)?{0}['\"`]|#/{0}\b"
    r"|(?:parameter(?:s|\(s\))?|arguments?|supplied|fields?|keys?|propert(?:y|ies)|options?|inputs?)[: ]+\W?{0}\b"
    r"|^\W*{0}\b(?=\W*(?:is|are|does|:|not|param|extra))|(?<!the )(?<!this )\b{0} (?:is|are) (?:not|unsupported)"
    r"|\b{0} ?> ?1\b|\b{0}:|\bsupport (?:the |setting |a )?{0}\b"
)
"""Where a text names a field whose name is a word of its own; {0}: the name."""
_ROLE_REFUSED: Final = re.compile(
    r"one of|should be|unexpected|unknown|invalid|unsupported|not (\w+ )?(support|allow|valid|permit)|got developer"
    r"|enum|expected|only|must be"
)


class Adapting:
    """What one server is known not to take. One event loop only: there is no lock."""

    def __init__(self, peer: str) -> None:
        self._peer = peer
        self.dropped: set[str] = set()
        self.renamed: set[str] = set()
        self.marks: set[str] = set()
        self.no_developer = False

    def applied(self, outbound: Outbound) -> Outbound:
        """The request as this server takes it, as far as that is known."""
        if not (self.dropped or self.renamed or self.marks or self.no_developer):
            return outbound
        return _put(outbound, self.dropped, self.renamed, no_developer=self.no_developer, marks=self.marks)

    def learnt(self, error: ModelError, outbound: Outbound) -> Outbound | None:
        """The refused request as the server may take it, remembered for the next ones; None: nothing helps."""
        told = error.told
        if not isinstance(told, Told) or isinstance(error, ModelMisconfigured):
            return None
        body = orjson.loads(outbound.content)
        if _refuses_developer(told, body):
            self.no_developer = True
            log.warning('%s does not know the role "developer": such messages are sent as the system\'s', self._peer)
            return _put(outbound, (), (), no_developer=True)
        if (mark := _refused_mark(told, body)) is not None:
            self.marks.add(mark)
            log.warning("%s does not take %s in messages and tools: it is left out from now on", self._peer, mark)
            return _put(outbound, (), (), no_developer=False, marks={mark})
        field = refused_field(told, body)
        if field is None:
            return None
        lasting = not _AT_TIMES.search(told.text)
        if field in RENAMES:
            if RENAMES[field] in outbound.renamed_from:
                return None  # it takes neither
            if lasting:
                self.renamed.discard(RENAMES[field])
                self.renamed.add(field)
                log.warning("%s does not take %s: it is sent as %s", self._peer, field, RENAMES[field])
            return _put(outbound, (), (field,), no_developer=False)
        if not may_drop(field, body[field]):
            return None
        fields = {"stream", "stream_options"} if field == "stream" else {field}
        if lasting:
            self.dropped |= fields
            log.warning("%s does not take %s: it is left out from now on", self._peer, field)
        return _put(outbound, fields, (), no_developer=False)


def may_drop(field: str, value: Any) -> bool:
    """Whether a request may go without the field."""
    return field in _SILENT or field in _HINTS or _says_nothing(field, value)


def _says_nothing(field: str, value: Any) -> bool:
    if value is None:
        return True
    usual = _DEFAULTS.get(field, ())
    return any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in usual)


def _put(
    outbound: Outbound,
    fields: Collection[str],
    renames: Collection[str],
    *,
    no_developer: bool,
    marks: Collection[str] = (),
) -> Outbound:
    body = orjson.loads(outbound.content)
    drop = {field for field in fields if field in body and may_drop(field, body[field])}
    missed = [field for field in sorted(drop - _SILENT) if not _says_nothing(field, body[field])]
    there = marks_in(body) & set(marks)
    twice = {name for name in renames if name in body and RENAMES[name] in body}
    renamed = [name for name in renames if name in body and name not in twice]
    missed += sorted(there)
    return outbound.adapted(drop | twice, renamed, no_developer=no_developer, missed=missed, marks=there)


def marks_in(body: Mapping[str, Any]) -> set[str]:
    """Those of `_MARKS` that stand in a message, a part, a call or a tool."""
    return {name for each in marked_places(body) for name in each.keys() & _MARKS}


def _refused_mark(told: Told, body: Mapping[str, Any]) -> str | None:
    said = f"{' '.join(told.codes)} {told.text}"
    if not _REFUSES.search(said):
        return None
    named = f"{told.param} {told.text}"
    return next((mark for mark in sorted(marks_in(body)) if re.search(rf"(?<![a-z_]){mark}(?![a-z_])", named)), None)


def refused_field(told: Told, body: Mapping[str, Any]) -> str | None:
    """The field of the body that the server says it does not take; None where it says something else."""
    codes = " ".join(told.codes)
    said = f"{codes} {told.text}"
    refuses = _REFUSES.search(said) and ("only the default" in said or not _OF_ITS_VALUE.search(said))
    root = re.split(r"[.\[]", told.param, maxsplit=1)[0]
    if root in ("messages", "tools", "model"):
        return None
    if root in body:
        if root in _SILENT:
            return root
        return root if refuses else None
    if not refuses:
        return None
    found = [(at, name) for name in body if name not in ("messages", "model") and (at := _place(name, told.text)) >= 0]
    if not found:
        return None
    return max(found)[1] if "both" in said else min(found)[1]


def _place(name: str, text: str) -> int:
    """Where a text names a field; -1: nowhere. A name that is a word of English counts only where it is marked."""
    pattern = rf"(?<![a-z_]){re.escape(name)}(?![a-z_])" if "_" in name else _NAMED.format(re.escape(name))
    found = re.search(pattern, text)
    return found.start() if found else -1


def _refuses_developer(told: Told, body: Mapping[str, Any]) -> bool:
    messages = body.get("messages")
    has = isinstance(messages, list) and any(isinstance(m, dict) and m.get("role") == "developer" for m in messages)
    said = f"{' '.join(told.codes)} {told.text}"
    names = "developer" in told.text or told.param.endswith("role") or "role" in told.text
    return has and names and bool(_ROLE_REFUSED.search(said))
