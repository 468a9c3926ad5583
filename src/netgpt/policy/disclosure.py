"""What may leave in one request: the policy decides on each level of the hierarchy of each kind that was found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from netgpt.policy import Policy, Principal, Resource
from netgpt.types import Fact, Kept, Label, Terms

TEXT = "TEXT"
"""The kind of a request's words in which nothing private was found."""
MEDIA = "MEDIA"
"""The kind of images, audio and files that the settings let leave unchecked."""
_EXACT = ("exact",)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a request would go: host, name of the model there, region of the server, purpose of the processing."""

    host: str = ""
    model: str = ""
    region: str = ""
    purpose: str = ""

    @classmethod
    def of(cls, base_url: str | None, model: str, region: str, purpose: str) -> Destination:
        """From the settings of the cloud."""
        return cls((urlsplit(base_url).hostname or "") if base_url else "", model, region, purpose)


class Disclosure:
    """One person's request to one destination. Called with a kind, it returns the terms on which that may leave."""

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
        """`hierarchy`, `family`: of a kind. `asked`: "cloud" when the caller named the cloud. `sensitive`: kinds with
        that label."""
        self._policy, self._principal, self._sensitive = policy, principal, sensitive
        self._hierarchy, self._family = hierarchy, family
        self._context: Mapping[str, object] = {
            "destination": destination.host, "cloud": destination.model, "region": destination.region,
            "purpose": destination.purpose, "consent": consent, "asked": asked,
        }  # fmt: skip
        self._answers: dict[tuple[str, Label, tuple[str, ...]], Terms] = {}

    def __call__(self, kind: str, public: bool = False) -> Terms:
        """The terms on which this kind may leave. `public`: the words are public, whatever their kind."""
        label = Label.SENSITIVE if kind in self._sensitive else Label.PUBLIC if public else Label.PERSONAL
        return self._terms(kind, label, self._hierarchy(kind))

    def same_as(self, other: Disclosure) -> bool:
        """Whether `other`, for another destination, got the same terms for all that it was asked so far."""
        return all(self._terms(*asked) == terms for asked, terms in other._answers.items())

    def passes(self, fact: Fact) -> bool:
        """Whether a fact may leave as it is."""
        return bool(self._terms(fact.kind.upper(), fact.label, _EXACT).allowed)

    def keeps_facts(self, facts: Iterable[Fact]) -> tuple[Kept, ...]:
        """The sensitive ones of a request's chosen facts that may leave at no level: they keep the request on the box,
        although they are left out of what would leave."""
        kinds = (fact.kind.upper() for fact in facts if fact.label is Label.SENSITIVE)
        terms = [(kind, self._terms(kind, Label.SENSITIVE, self._hierarchy(kind))) for kind in kinds]
        return tuple(Kept(kind, each.refused_by, 1) for kind, each in terms if not each.allowed)

    def keeps_text(self) -> tuple[Kept, ...]:
        """The rule by which no text at all may leave, if any."""
        terms = self._terms(TEXT, Label.PUBLIC, _EXACT)
        return () if terms.allowed else (Kept(TEXT, terms.refused_by, 1),)

    def keeps_media(self) -> str | None:
        """The rule that keeps images, audio and files on the box although the settings let them leave, or None."""
        terms = self._terms(MEDIA, Label.PUBLIC, _EXACT)
        return None if terms.allowed else terms.refused_by

    def wants(self, levels: frozenset[str], kinds: Iterable[str]) -> bool:
        """Whether any of these kinds may leave at one of these precisions."""
        return any(precision in levels for kind in kinds for precision, _ in self(kind).allowed)

    def _terms(self, kind: str, label: Label, levels: tuple[str, ...]) -> Terms:
        key = (kind, label, levels)
        known = self._answers.get(key)
        if known is None:
            who = self._principal
            what = Resource("Information", "", who.tenant, who.user, kind, label.value, self._family(kind))
            known = self._answers[key] = self._policy.terms(who, what, levels, self._context)
        return known
