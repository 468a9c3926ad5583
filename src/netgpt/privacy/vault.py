"""The vault: makes an outbound body safe and keeps the originals. It alone makes an `Outbound`.

Every string and number of the body is visited (`body`), searched (`detector`) and masked (`masking`). The result is
searched again: what is found then is hidden, too, and if anything is still found, nothing leaves. Placeholders are
stable within a conversation; the map of originals is in `dump()` and nowhere else. A restorer knows what this vault
sealed, not what else the map of the conversation holds.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from netgpt.errors import NotDisclosable, PrivacyError
from netgpt.outbound import Encoder, Outbound, SaidBody, _sealed_by_vault
from netgpt.privacy.addresses import OwnAddresses
from netgpt.privacy.body import Seen, longest_string
from netgpt.privacy.computing import DayShift
from netgpt.privacy.detector import Detector
from netgpt.privacy.detectors.profile_values import clean_kind
from netgpt.privacy.generalize import Generaliser
from netgpt.privacy.identities import People, words_of
from netgpt.privacy.kinds import (
    SHIFTED,
    TermsOf,
    kinds_of,
    known_kinds,
    number_of,
    placeholders_only,
    spelling_of,
    word_set,
)
from netgpt.privacy.masking import Anonymizer, Masking, kept_by_policy, plan
from netgpt.privacy.restore import Restorer, own_addresses, stood_in
from netgpt.privacy.scripts import ALL
from netgpt.types import Generalised, Hidden, Kept, Span

_ROUNDS = 4
"""Searches before a body counts as impossible to make safe."""
_LARGE = 30_000
"""Characters of a body whose own addresses are read in a thread."""
_SIGNS = 4
"""Times as long as its texts JSON may be, by its signs and blanks."""
_PERSON = "PERSON"
_EXACT = word_set("API_KEY LITERAL URL CRYPTO")


class Vault:
    """The pseudonyms of one conversation."""

    def __init__(self, state: bytes | None = None) -> None:
        """`state`: what `dump()` gave. Raises PrivacyError when it is damaged."""
        self._secret = secrets.token_bytes(32)
        self._originals: dict[str, str] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._people = People()
        self._spelled: dict[tuple[int, str], str] = {}
        """(a person's number, text) -> name."""
        self._next: Counter[str] = Counter()
        self._kinds: frozenset[str] = frozenset()
        """Of all originals."""
        self._reserved: frozenset[str] = frozenset()
        self._sealed: set[str] = set()
        """The placeholders of all bodies that this vault sealed."""
        self._shift: DayShift | None = None
        self._as_they_were: set[tuple[str, str]] = set()
        """Where values stood unescaped in the bodies that this vault sealed; see `stood_in`."""
        self._bodies: list[tuple[Mapping[str, Any], Sequence[Seen]]] = []
        """What it sealed, masked: the body and its texts."""
        self.changed = False
        """Whether the state differs from the one given."""
        self._fresh = state is None
        self.found_kinds: frozenset[str] = frozenset()
        self.hidden: tuple[Hidden, ...] = ()
        self.generalised: tuple[Generalised, ...] = ()
        self.kept: tuple[Kept, ...] = ()
        self.finds: Sequence[tuple[str, Span]] = ()
        """Of the last `seal`: the kinds, what was hidden, what left, what kept it here (then it raised), each find."""
        if state is not None:
            self._load(state)

    def __repr__(self) -> str:
        return f"<Vault of {len(self._originals)} placeholders>"

    def __reduce__(self) -> Any:
        raise TypeError("a Vault is not copied or pickled; use dump()")

    def dump(self) -> bytes:
        """The whole state as JSON, originals included: the caller encrypts it."""
        state = {"version": 1, "secret": self._secret.hex(), "map": list(self._originals.items())}
        return json.dumps(state).encode()

    def _load(self, state: bytes) -> None:
        try:
            known = json.loads(state)
            if known["version"] != 1:
                raise ValueError
            self._secret = bytes.fromhex(known["secret"])
            for name, original in known["map"]:
                kind = name.rpartition("_")[0]
                self._remember(name, kind, original)
                if kind == _PERSON:
                    self._people.remember(original, number_of(name))
                self._next[kind] = max(self._next[kind], number_of(name))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise PrivacyError("the pseudonym map of this conversation is damaged; begin a new conversation") from None

    def restorer(self) -> Restorer:
        """Puts back what was hidden or shifted in the bodies that this vault sealed, and nothing else of its map."""
        sealed = {name: original for name, original in self._originals.items() if name in self._sealed}
        is_large = sum(len(item.text) for _, seen in self._bodies for item in seen) > _LARGE
        return Restorer(sealed, self._as_they_were, self._shift, self._own_addresses, is_large=is_large)

    def _own_addresses(self) -> OwnAddresses:
        bodies, seen = [body for body, _ in self._bodies], (item for _, seen in self._bodies for item in seen)
        return own_addresses(bodies, seen, self._originals)

    def expect_answer_to(self, outbound: Outbound) -> None:
        """Which of the bodies sealed here is answered: dates come back only from where they went shifted."""
        if not any(value.now == SHIFTED for value in outbound.generalised):
            self._shift = None

    async def seal(
        self,
        body: Mapping[str, Any],
        detector: Detector,
        *,
        values: Sequence[tuple[str, str]] = (),
        trusted: bool = False,
        media: str = "keep",
        max_chars: int = 400_000,
        public: Sequence[str] = (),
        terms: TermsOf = placeholders_only,
        generaliser: Generaliser | None = None,
        passes: Collection[str] = (),
        exceptions: Collection[str] = (),
        languages: tuple[str, ...] = (ALL,),
        public_figures: bool = True,
        encode: Encoder = SaidBody,
        stated: Sequence[Generalised] = (),
    ) -> Outbound:
        """The body as it may leave. `body` is not changed.

        `values`: (KIND, value) pairs of the profile that must not leave. `trusted`: the destination is the operator's
        own server, nothing is hidden. `media`: "keep" or "send" images, audio and files. `public`: texts whose names
        may leave (the site's own place), unless a pattern or profile value matches. `terms`: the levels at which each
        kind may leave; `generaliser`: for the levels between exact and placeholder. `passes`: names of unknown fields
        that the owner lets pass where they have the form of identifiers. `exceptions`: words that the owner says are
        not private (`exceptions`). `languages`: in whose scripts names are looked for; `public_figures`: whether
        publicly known people who are asked about may leave by name, if `terms` let FIGURE leave. `encode`: says what
        was made safe in the destination's dialect. `stated`: facts that stand in `body` in coarser words, for the
        account.
        Raises DetectorError (not checked) and NotDisclosable (too long, media, cannot be made safe, `kept`), and what
        `encode` raises.
        """
        self.found_kinds, self.hidden, self.generalised, self.kept = frozenset(), (), (), ()
        if trusted:
            return _sealed_by_vault(_encodable(dict(body)), (), "trusted destination", encode=encode)
        self._people.begin()
        pairs = [(clean_kind(kind), value) for kind, value in values if value.strip()]
        anonymizer = Anonymizer(self, pairs, terms, generaliser)
        masking = Masking(
            self, anonymizer, pairs, media, public, passes,
            exceptions=exceptions, languages=languages,
            hide_figures=not (public_figures and anonymizer.lets_figures_leave()),
        )  # fmt: skip
        current: Mapping[str, Any] = _encodable(dict(body))
        if media != "send" and (size := longest_string(current)) > _SIGNS * max_chars:
            raise _too_long(size, max_chars)  # before it is read as JSON
        made = plan(current, media, passes)
        size = made.size
        if size > max_chars:
            raise _too_long(size, max_chars)
        for _ in range(_ROUNDS):
            current, following = await masking.round(current, made, detector)
            if following is None:
                break
            made = following
        else:
            raise NotDisclosable("the request could not be made safe: private data was found again; nothing was sent")
        if made.size > 4 * size + 20_000:
            raise NotDisclosable("the request grew beyond reason when it was made safe; nothing was sent")
        self._shift = anonymizer.computing.shift or self._shift  # of any destination of the request
        self._sealed.update(anonymizer.used())
        self.found_kinds, self.finds = frozenset(anonymizer.kinds), anonymizer.finds
        self.hidden, self.kept = anonymizer.hidden(), anonymizer.kept()
        self.generalised = (*anonymizer.generalised(), *stated)
        if self.kept:
            raise kept_by_policy(self.kept)
        if self.hidden:
            self._as_they_were |= stood_in({item.text for item in made.seen}, self._originals)
        self._bodies.append((current, made.seen))
        return _sealed_by_vault(current, self.hidden, "masked", self.generalised, encode)

    def name_for(self, kind: str, original: str) -> str:
        """The placeholder name of a private text; another spelling of a known one gets its name and a letter."""
        known = self._names.get(("", original)) if kind != "LITERAL" else None
        if kind == _PERSON and words_of(original) and (known is None or kinds_of([known]) == {_PERSON}):
            return self._name_of_person(original)
        alike = self._names.get((kind, _canonical(kind, original)))
        if known or (alike and self._originals[alike] == original):
            return known or str(alike)
        name = (spelling_of(alike, self._originals, self._reserved) if alike else None) or self._next_of(kind)
        self._remember(name, kind, original)
        self.changed = True
        return name

    def _name_of_person(self, original: str) -> str:
        """As the person is named whom the text means."""
        number, is_new = self._people.number_of(original, lambda: number_of(self._next_of(_PERSON)))
        if (known := self._spelled.get((number, original))) is not None:
            return known
        name = f"{_PERSON}_{number}"
        if not is_new:
            name = spelling_of(name, self._originals, self._reserved) or self._next_of(_PERSON)
        self._remember(name, _PERSON, original)
        self.changed = True
        return name

    def meet(self, people: Sequence[str]) -> None:
        """The persons that the next text names, before any of them is asked for."""
        self._people.meet(people)

    def _next_of(self, kind: str) -> str:
        self._next[kind] += 1
        while f"{kind}_{self._next[kind]}" in self._reserved:
            self._next[kind] += 1
        return f"{kind}_{self._next[kind]}"

    def _remember(self, name: str, kind: str, original: str) -> None:
        self._originals[name] = original
        if (named := name.rpartition("_")[0]) not in self._kinds:
            self._kinds |= {named}
        self._names.setdefault((kind, _canonical(kind, original)), name)
        if kind != "LITERAL":
            self._names.setdefault(("", original), name)
        if kind == _PERSON:
            self._spelled.setdefault((number_of(name), original), name)

    def reserve(self, names: frozenset[str]) -> None:
        """Names of the caller's own identifiers (`address_1`) that no placeholder may get in this sealing."""
        self._reserved = names

    def originals(self) -> Mapping[str, str]:
        """Placeholder name -> private text. Never to be logged."""
        return self._originals

    def kinds(self) -> frozenset[str]:
        """Kinds that a placeholder of this conversation may have."""
        return known_kinds() | self._kinds

    def used_kinds(self) -> frozenset[str]:
        """Kinds of the placeholders that there are."""
        return self._kinds

    def pseudonym(self, user: str) -> str:
        """A stable name for a user id, letters only: HMAC-SHA256 with this conversation's key."""
        self.changed = self.changed or self._fresh  # a key that was loaded is stored already
        digest = hmac.new(self._secret, user.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:24]
        return "u_" + digest.translate(str.maketrans("0123456789abcdef", "bcdfghjkmnpqrstv"))


def readdressed(
    outbound: Outbound, model: str, also: Mapping[str, Any] | None = None, encode: Encoder = SaidBody
) -> Outbound:
    """The same sealed chat body for another model, at a destination with the same terms, as `encode` says it.

    Only `model` and the fields of `also` differ; those come from the settings, never from the request. Raises what
    `encode` raises.
    """
    if outbound.dialect != "openai":
        raise TypeError("only OpenAI's chat body is said in another dialect")
    body = {**json.loads(outbound.content), "model": model, **(also or {})}
    return _sealed_by_vault(body, outbound.hidden, outbound.rule, outbound.generalised, encode)


def _too_long(size: int, max_chars: int) -> NotDisclosable:
    return NotDisclosable(
        f"the request has {size} characters, more than privacy.max_chars = {max_chars}; nothing was sent"
    )


def _canonical(kind: str, original: str) -> str:
    """The same for all spellings of one value: the digits of a number, or lower case where case means nothing."""
    if kind in ("CARD", "PHONE") and not any(c.isalpha() or c == "@" for c in original):
        digits = "".join(c for c in original if c.isdigit())
        return ("+" if original.lstrip("( ").startswith("+") else "") + digits
    if kind in _EXACT:
        return original
    return "".join(original.upper().split()) if kind == "IBAN" else original.casefold()


def _encodable(value: Any) -> Any:
    """The value with lone surrogates, which UTF-8 cannot encode, replaced."""
    if isinstance(value, str):
        broken = not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value)
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if broken else value
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    return [_encodable(item) for item in value] if isinstance(value, list | tuple) else value
