"""Makes an outbound body safe, and remembers how to undo it. The only maker of an `Outbound`.

Every string and number of the body is seen (`walk`), searched (`detect`) and cut (`mask`). The result is walked and
searched again: what is found then is hidden too, and if anything is still found, nothing leaves. Placeholders are
stable within a conversation; the map of originals is in `dump()` and nowhere else.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from netgpt.errors import NotDisclosable, PrivacyError
from netgpt.outbound import Outbound, _sealed_by_vault
from netgpt.privacy.detect import Detector
from netgpt.privacy.mask import Masking, plan
from netgpt.privacy.placeholders import FIXED_KINDS, bracketed, kinds_of
from netgpt.privacy.restore import Restorer
from netgpt.privacy.values import clean_kind
from netgpt.privacy.wordsets import words
from netgpt.types import Hidden

__all__ = ["Vault"]

_ROUNDS = 4
"""Searches of the masked body before it counts as impossible to make safe."""
_EXACT = words("API_KEY LITERAL URL CRYPTO")


class Vault:
    """The pseudonyms of one conversation."""

    def __init__(self, state: bytes | None = None) -> None:
        """`state`: what `dump()` gave. Raises PrivacyError when it is damaged."""
        self._secret = secrets.token_bytes(32)
        self._originals: dict[str, str] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._next: Counter[str] = Counter()
        self._reserved: frozenset[str] = frozenset()
        self.changed = False
        """Whether the state differs from the one given."""
        self.found_kinds: frozenset[str] = frozenset()
        """The kinds that the last `seal` found."""
        if state is not None:
            self._load(state)

    def __repr__(self) -> str:
        return f"<Vault of {len(self._originals)} placeholders>"

    def __reduce__(self) -> Any:
        raise TypeError("a Vault is not copied or pickled; use dump()")

    def dump(self) -> bytes:
        """The whole state as JSON, originals included: to be encrypted by whoever keeps it."""
        state = {"version": 1, "secret": self._secret.hex(), "map": list(self._originals.items())}
        return json.dumps(state).encode()

    def _load(self, state: bytes) -> None:
        try:
            known = json.loads(state)
            if known["version"] != 1:
                raise ValueError
            self._secret = bytes.fromhex(known["secret"])
            for name, original in known["map"]:
                kind, _, number = name.rpartition("_")
                self._remember(name, kind, original)
                self._next[kind] = max(self._next[kind], int(number))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise PrivacyError("the pseudonym map of this conversation is damaged; begin a new conversation") from None

    def restorer(self) -> Restorer:
        """What puts the originals back into an answer."""
        return Restorer(self._originals)

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
    ) -> Outbound:
        """The body as it may leave. `body` is not changed.

        `values`: (KIND, value) pairs of the profile that must not leave. `trusted`: the destination is the owner's own
        server, nothing is hidden. `media`: "keep" or "send" images, audio and files. `public`: texts whose words may
        leave although they are names (of the site's own place, say); patterns and profile values beat them.
        Raises DetectorError (not checked) and NotDisclosable (too long, media, cannot be made safe).
        """
        self.found_kinds = frozenset()
        if trusted:
            return _sealed_by_vault(_encodable(dict(body)), (), "trusted destination")
        pairs = [(clean_kind(kind), value) for kind, value in values if value.strip()]
        masking = Masking(self, pairs, media, public)
        current = _encodable(dict(body))
        size = plan(current, media).size
        if size > max_chars:
            raise NotDisclosable(
                f"the request has {size} characters, more than privacy.max_chars = {max_chars}; nothing was sent"
            )
        for _ in range(_ROUNDS):
            current, hid = await masking.round(current, detector)
            if not hid and masking.rounds > 1:
                break
        else:
            raise NotDisclosable("the request could not be made safe: private data was found again; nothing was sent")
        if plan(current, media).size > 4 * size + 20_000:
            raise NotDisclosable("the request grew beyond reason when it was made safe; nothing was sent")
        self.found_kinds = masking.found_kinds
        return _sealed_by_vault(current, self._told(masking), "masked")

    def _told(self, masking: Masking) -> tuple[Hidden, ...]:
        return tuple(
            Hidden(bracketed(name), name.rpartition("_")[0], masking.rules[name], count)
            for name, count in masking.counts.items()
        )

    def name_for(self, kind: str, original: str) -> str:
        """The placeholder name of a private text: the known one, else the next of its kind."""
        known = self._names.get(("", original)) if kind != "LITERAL" else None
        known = known or self._names.get((kind, _canonical(kind, original)))
        if known:
            return known
        self._next[kind] += 1
        while f"{kind}_{self._next[kind]}" in self._reserved:
            self._next[kind] += 1
        name = f"{kind}_{self._next[kind]}"
        self._remember(name, kind, original)
        self.changed = True
        return name

    def _remember(self, name: str, kind: str, original: str) -> None:
        self._originals[name] = original
        self._names.setdefault((kind, _canonical(kind, original)), name)
        if kind != "LITERAL":
            self._names.setdefault(("", original), name)

    def reserve(self, names: frozenset[str]) -> None:
        """Names that the caller's own identifiers use (`address_1`) and that no placeholder may get in this sealing."""
        self._reserved = names

    def originals(self) -> Mapping[str, str]:
        """Placeholder name -> private text. Never to be logged."""
        return self._originals

    def kinds(self) -> frozenset[str]:
        """Kinds that a placeholder of this conversation may have."""
        return FIXED_KINDS | kinds_of(self._originals)

    def pseudonym(self, user: str) -> str:
        """A stable name for a user id, letters only: HMAC-SHA256 with this conversation's own key."""
        self.changed = True
        digest = hmac.new(self._secret, user.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:24]
        return "u_" + digest.translate(str.maketrans("0123456789abcdef", "bcdfghjkmnpqrstv"))


def _canonical(kind: str, original: str) -> str:
    """What two occurrences of one value have in common: digits of numbers, and no case where case means nothing."""
    if kind in ("CARD", "PHONE") and not any(c.isalpha() or c == "@" for c in original):
        digits = "".join(c for c in original if c.isdigit())
        return ("+" if original.lstrip("( ").startswith("+") else "") + digits
    if kind in _EXACT:
        return original
    return "".join(original.upper().split()) if kind == "IBAN" else original.casefold()


def _encodable(value: Any) -> Any:
    """The value with lone surrogates, which no UTF-8 can carry, replaced."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _broken(value) else value
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    return [_encodable(item) for item in value] if isinstance(value, list | tuple) else value


def _broken(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text)
