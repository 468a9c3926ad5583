"""What may leave in one request: the ladder of precision, put to the policy rung by rung for each kind found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from netgpt.policy import Policy, Principal, Resource
from netgpt.types import Fact, Kept, Label, Terms

TEXT = "TEXT"
"""The kind of a request's own words, as far as nothing private is found in them."""
MEDIA = "MEDIA"
"""The kind of images, audio and files that the owner lets leave unchecked."""
_EXACT = ("exact",)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a request would go: host name, name of the model there, where the server stands, what it works for."""

    host: str = ""
    model: str = ""
    region: str = ""
    purpose: str = ""

    @classmethod
    def of(cls, base_url: str | None, model: str, region: str, purpose: str) -> Destination:
        """From the settings of the cloud."""
        return cls((urlsplit(base_url).hostname or "") if base_url else "", model, region, purpose)


class Disclosure:
    """One person's request towards one destination. Called with a kind, it tells on which terms that may leave."""

    def __init__(
        self,
        policy: Policy,
        principal: Principal,
        destination: Destination,
        *,
        hierarchy: Callable[[str], tuple[str, ...]],
        family: Callable[[str], str],
        consent: frozenset[str] = frozenset(),
        asked: str = "auto",
        sensitive: frozenset[str] = frozenset(),
    ) -> None:
        """`ladder` and `family`: the rungs of a kind, and what it belongs to. `asked`: "cloud" when the caller named
        the cloud. `sensitive`: kinds that are labelled so."""
        self._policy, self._principal, self._sensitive = policy, principal, sensitive
        self._hierarchy, self._family = hierarchy, family
        self._circumstances: Mapping[str, object] = {
            "destination": destination.host,
            "cloud": destination.model,
            "region": destination.region,
            "purpose": destination.purpose,
            "consent": consent,
            "asked": asked,
        }
        self._told: dict[tuple[str, Label, tuple[str, ...]], Terms] = {}

    def __call__(self, kind: str, public: bool = False) -> Terms:
        """On which terms this kind may leave. `public`: the words are public anyway, whatever their kind."""
        label = Label.SENSITIVE if kind in self._sensitive else Label.PUBLIC if public else Label.PERSONAL
        return self._terms(kind, label, self._hierarchy(kind))

    def same_as(self, other: Disclosure) -> bool:
        """Whether `other`, for another destination, was told the same about all that it was asked so far."""
        return all(self._terms(*asked) == terms for asked, terms in other._told.items())

    def passes(self, fact: Fact) -> bool:
        """Whether a fact may be written into what leaves, as it is."""
        return bool(self._terms(fact.kind.upper(), fact.label, _EXACT).allowed)

    def keeps_facts(self, facts: Iterable[Fact]) -> tuple[Kept, ...]:
        """The sensitive ones of the facts that a request was completed with that may leave in no form: they keep the
        request on the box, although they are left out of what would leave."""
        kept = []
        for fact in facts:
            if fact.label is Label.SENSITIVE:
                terms = self._terms(fact.kind.upper(), fact.label, self._hierarchy(fact.kind.upper()))
                if not terms.allowed:
                    kept.append(Kept(fact.kind.upper(), terms.refused_by, 1))
        return tuple(kept)

    def keeps_text(self) -> tuple[Kept, ...]:
        """Whether nothing at all may leave, whatever the text."""
        terms = self._terms(TEXT, Label.PUBLIC, _EXACT)
        return () if terms.allowed else (Kept(TEXT, terms.refused_by, 1),)

    def keeps_media(self) -> str | None:
        """The rule that keeps images, audio and files on the box although the settings let them go, or None."""
        terms = self._terms(MEDIA, Label.PUBLIC, _EXACT)
        return None if terms.allowed else terms.refused_by

    def wants(self, levels: frozenset[str], kinds: Iterable[str]) -> bool:
        """Whether any of these kinds may leave at one of these precisions."""
        return any(precision in levels for kind in kinds for precision, _ in self(kind).allowed)

    def _terms(self, kind: str, label: Label, levels: tuple[str, ...]) -> Terms:
        key = (kind, label, levels)
        known = self._told.get(key)
        if known is None:
            who = self._principal
            what = Resource("Information", "", who.tenant, who.user, kind, label.value, self._family(kind))
            known = self._told[key] = self._policy.terms(who, what, levels, self._circumstances)
        return known
