"""Whether an adapter's file is what its card says, and made for this base."""

from __future__ import annotations

import math
from pathlib import Path

from netgpt.adapters.card import Card
from netgpt.adapters.edge_weights import EdgeWeights
from netgpt.adapters.file import AdapterFile, check_base, read_adapter
from netgpt.errors import RequestError

__all__ = ["check_adapter", "check_base_named"]


def check_adapter(copy: Path, source: Path, card: Card, sha256: str, base: EdgeWeights | None, max_bytes: int) -> None:
    """Check the `copy` (its hash is `sha256`) of the file `source` against `card` and, where it is here, `base`.

    Raises RequestError or PayloadTooLarge; messages name `source`.
    """
    try:
        adapter = read_adapter(copy, max_bytes=max_bytes)
        _check_card(adapter, card, sha256)
        if base is not None and base.path.is_file():
            check_base(adapter, base.path)
    except RequestError as error:
        raise type(error)(error.message.replace(str(copy), str(source))) from None


def check_base_named(card: Card, base: EdgeWeights | None) -> None:
    """Refuse a card that names other weights than the box serves."""
    if base is not None and card.base_sha256 != base.sha256:
        raise RequestError(
            f"{card.id} is made for other weights: {card.base} ({card.base_sha256[:12]}...), while this box serves "
            f"{base.name} ({base.sha256[:12]}...). Set edge.model to those weights, or train it for these."
        )


def _check_card(adapter: AdapterFile, card: Card, sha256: str) -> None:
    if adapter.architecture != card.architecture:
        raise _differs(adapter, card, "architecture", adapter.architecture, card.architecture)
    if adapter.rank != card.rank:
        raise _differs(adapter, card, "rank", adapter.rank, card.rank)
    if not math.isclose(adapter.alpha, card.alpha, rel_tol=1e-5):
        raise _differs(adapter, card, "alpha", adapter.alpha, card.alpha)
    if set(adapter.targets) != set(card.targets):
        raise _differs(adapter, card, "targets", ", ".join(adapter.targets), ", ".join(card.targets)[:200])
    if sha256 != card.weights_sha256 or adapter.bytes != card.bytes:
        raise RequestError(
            f"{adapter.path}: not the weights that the card of {card.id} is about: the hash is {sha256[:12]}..., "
            f"the card says {card.weights_sha256[:12]}.... One of the two was changed; get both anew."
        )


def _differs(adapter: AdapterFile, card: Card, what: str, found: object, said: object) -> RequestError:
    return RequestError(f"{adapter.path}: its {what} is {found}, the card of {card.id} says {said}")
