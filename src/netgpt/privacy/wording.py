"""How each private value is written, on the terms that it may leave on; and the account of it.

The first rung of the ladder that the terms allow and the value can be told in is taken: as it is, in coarser words, or
as a placeholder. A value that may leave in no form keeps the whole request on the box.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

from netgpt.errors import NotDisclosable
from netgpt.privacy.generalize import Generaliser
from netgpt.privacy.patterns import find_patterns
from netgpt.privacy.placeholders import bracketed
from netgpt.privacy.precision import EXACT, PLACEHOLDER, TermsOf
from netgpt.privacy.values import find_values
from netgpt.types import Generalised, Hidden, Kept, Span, Terms

__all__ = ["PUBLIC", "Names", "Wording", "kept_by_policy", "plain_words"]

_LITERAL = "LITERAL"
"""The caller's own words that look like a placeholder: no private value, so no policy is asked."""
PUBLIC = "public"
"""Stands for the precision of words that are public anyway, in the account."""
_LOOKED_AT = 1_000
"""Characters. A longer value is not written out, whatever the terms: it could hold anything."""


class Names(Protocol):
    """What masking needs of the vault."""

    def name_for(self, kind: str, original: str) -> str: ...
    def originals(self) -> Mapping[str, str]: ...
    def kinds(self) -> frozenset[str]: ...
    def pseudonym(self, user: str) -> str: ...
    def reserve(self, names: frozenset[str]) -> None: ...


class Wording:
    """The words of one sealing."""

    def __init__(
        self, names: Names, values: Sequence[tuple[str, str]], terms: TermsOf, generaliser: Generaliser | None
    ) -> None:
        """`values`: what the profile hides. `generaliser` None: nothing is told in coarser words."""
        self._names, self._values = names, values
        self._terms, self._generaliser = terms, generaliser
        self._counts: Counter[str] = Counter()
        self._rules: dict[str, tuple[str, str]] = {}
        self._coarser: Counter[tuple[str, str, str, str, str]] = Counter()
        self._kept: Counter[tuple[str, str]] = Counter()
        self._through = ""
        self.kinds: set[str] = set()
        """The kinds found so far."""

    def write(self, span: Span, text: str, original: str, *, free: bool, bare: bool = False) -> str:
        """How `text` is written. `original`: what a placeholder in it stands for. `free`: the place takes any words;
        otherwise it is as it is or a placeholder. `bare`: placeholders stand without brackets."""
        self.kinds.add(span.kind)
        if span.kind == _LITERAL:
            return self._placeholder(span, original, "", bare)
        terms = self._terms(span.kind, False)
        for precision, rule in terms.allowed:
            if precision == PLACEHOLDER:
                return self._placeholder(span, original, rule, bare)
            words = self._told(span, text, precision, rule) if free or precision == EXACT else None
            if words is not None:
                return words
        self._kept[span.kind, _cannot(terms) if terms.allowed else terms.refused_by] += 1
        return self._placeholder(span, original, "", bare)

    def passes_as_public(self, span: Span) -> bool:
        """Whether words that are public anyway may stand; notes that they do."""
        terms = self._terms(span.kind, True)
        if not terms.allowed or terms.allowed[0][0] != EXACT:
            return False
        if rule := terms.allowed[0][1]:
            self._coarser[span.kind, PUBLIC, EXACT, span.rule, rule] += 1
        return True

    def let_through(self, text: str) -> bool:
        """Whether these words were written on purpose before: finding them again says nothing new."""
        return bool(self._through) and plain_words(text) in self._through

    def _placeholder(self, span: Span, original: str, rule: str, bare: bool) -> str:
        name = self._names.name_for(span.kind, original)
        self._counts[name] += 1
        self._rules.setdefault(name, (span.rule, rule))
        return name if bare else bracketed(name)

    def _told(self, span: Span, text: str, precision: str, rule: str) -> str | None:
        """The text at this precision, when it can be told so and gives away nothing else."""
        was, now, words = EXACT, EXACT, text
        if precision != EXACT:
            told = self._generaliser.coarser(text, span.kind, precision) if self._generaliser else None
            if told is None:
                return None
            was, now, words = told.was, told.now, told.words
        if not self._may_stand(words):
            return None
        self._coarser[span.kind, was, now, span.rule, rule] += 1
        self._through += "|" + plain_words(words)
        return words

    def _may_stand(self, words: str) -> bool:
        """Whether everything that would be found in these words may itself be written so: an address inside a name,
        a town of the profile inside a coarser place."""
        if len(words) > _LOOKED_AT:
            return False
        found = [*find_patterns(words), *find_values(words, self._values)]
        return all(self._stands(span.kind, words[span.start : span.end]) for span in found)

    def _stands(self, kind: str, text: str) -> bool:
        for precision, _ in self._terms(kind, False).allowed:
            if precision == EXACT:
                return True
            told = self._generaliser.coarser(text, kind, precision) if self._generaliser else None
            if told is not None and told.words == text:
                return True
        return False

    def hidden(self) -> tuple[Hidden, ...]:
        """The placeholders, without their values."""
        return tuple(
            Hidden(bracketed(name), name.rpartition("_")[0], self._rules[name][0], count, self._rules[name][1])
            for name, count in self._counts.items()
        )

    def generalised(self) -> tuple[Generalised, ...]:
        """What was written in coarser words, or as it was."""
        return tuple(Generalised(*told, count) for told, count in self._coarser.items())

    def kept(self) -> tuple[Kept, ...]:
        """What may leave in no form."""
        return tuple(Kept(kind, rule, count) for (kind, rule), count in self._kept.items())


def kept_by_policy(kept: Sequence[Kept]) -> NotDisclosable:
    """The error that names what keeps a request on the box, and each rule that says so; never the value."""
    told = "; ".join(dict.fromkeys(f"{each.kind}: {each.policy_rule}" for each in kept))
    return NotDisclosable(f"the policy keeps it on the box ({told})", code="kept_by_policy")


def plain_words(text: str) -> str:
    """Lower-case words between single spaces: " portwick eastshire " stands in " at portwick eastshire uk "."""
    return " " + " ".join(re.findall(r"\w+", text.casefold())) + " "


def _cannot(terms: Terms) -> str:
    """Allowed in coarser words, but it cannot be told in them: the rules that would have let it."""
    return "cannot be told as " + ", ".join(f"{precision} ({rule})" for precision, rule in terms.allowed)
