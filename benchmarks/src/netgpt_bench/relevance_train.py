"""`netgpt relevance train`: the delta and the head of `netgpt.completion.relevance`, with gradients, and their file.

The encoder's own weights stay; low-rank changes (LoRA, arXiv 2106.09685) of its upper layers and the head are learnt.
A step reads a few cards: every fact and request once, then all pairs within a card count. Requests of cards with free
preferences also compete against the facts of the other cards in the step, nearest ones first.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from netgpt.completion.relevance import FORM, NEEDED, wording
from netgpt.encoder import DELTA_FORM, PARTS, SentenceEncoder, read_arrays, write_arrays
from netgpt.errors import RequestError
from netgpt.training.recipes import DATASETS
from netgpt_bench.harness import Progress
from netgpt_bench.relevance_data import (
    FREE,
    LANGUAGES,
    KindLesson,
    PersonCard,
    PublicRequests,
    fact_pools,
    kind_lessons,
    read_cards,
)

RANK: Final = 32
FIRST_LAYER: Final = 2
"""Layers below it stay as they are."""
WIDTH: Final = 128
"""Of the head."""
MOST_TOKENS: Final = 64
CARDS_A_STEP: Final = 2
FREE_CARDS_A_STEP: Final = 3
PUBLIC_CARDS: Final = 400
"""Made anew for each pass."""
HARDEST: Final = 7
"""Facts of other cards that a free preference must beat, word by word."""
TOLD: Final = 0.5
"""Share of facts that are read behind their kind; of free preferences a tenth, as their kinds are names of no use."""
RATE: Final = 4e-4
LAST_RATE: Final = 0.02
"""Of `RATE`."""
WARM_UP: Final = 0.08
DROPPED: Final = 0.1
NEEDS_AT_ONCE: Final = 256
NEEDS_PASSES: Final = 25
NEEDS_RATE: Final = 2e-3
CALIBRATING: Final = 0.05
"""Share of the cards that is not learnt from."""


# --- The encoder with gradients: `netgpt.encoder` again. Texts lie one after the other, so that no padding is computed.


class ChangedDense(nn.Module):  # type: ignore[misc]  # torch is not followed
    """A dense layer of the encoder, fixed, and its low-rank change; `rank` 0: none."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, rank: int) -> None:
        super().__init__()
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("bias", bias, persistent=False)
        self.down = nn.Parameter(torch.randn(weight.shape[1], rank) / math.sqrt(weight.shape[1])) if rank else None
        self.up = nn.Parameter(torch.zeros(rank, weight.shape[0])) if rank else None

    def forward(self, x: Tensor) -> Tensor:
        y = functional.linear(x, self.weight, self.bias)
        return y if self.down is None or self.up is None else y + (x @ self.down) @ self.up


class EncoderLayer(nn.Module):  # type: ignore[misc]  # torch is not followed
    """One layer of BERT. `x`: (tokens of all texts, width); `at`: (texts, longest), the row of each token in `x`."""

    def __init__(self, arrays: dict[str, Tensor], name: str, heads: int, rank: int) -> None:
        super().__init__()
        self.heads = heads
        weight = _matrix(arrays, f"{name}.qkv").chunk(3)
        bias = arrays[f"{name}.qkv.bias"].chunk(3)
        parts = dict(zip(PARTS[:3], zip(weight, bias, strict=True), strict=True))
        for part in PARTS[3:]:
            parts[part] = (_matrix(arrays, f"{name}.{part}"), arrays[f"{name}.{part}.bias"])
        self.parts = nn.ModuleDict({part: ChangedDense(*pair, rank) for part, pair in parts.items()})
        self.attention_norm, self.output_norm = arrays[f"{name}.attention.norm"], arrays[f"{name}.output.norm"]

    def forward(self, x: Tensor, at: Tensor, there: Tensor, dropped: float) -> Tensor:
        texts, longest = at.shape
        part = self.parts

        def split(y: Tensor) -> Tensor:
            return spread(y, at).view(texts, longest, self.heads, -1).transpose(1, 2)

        mixed = functional.scaled_dot_product_attention(
            split(part["query"](x)), split(part["key"](x)), split(part["value"](x)), attn_mask=there[:, None, None, :]
        )
        mixed = mixed.transpose(1, 2).reshape(texts * longest, -1)[there.reshape(-1)]
        x = _normed(x + functional.dropout(part["attention"](mixed), dropped, self.training), self.attention_norm)
        inner = functional.gelu(part["intermediate"](x))
        return _normed(x + functional.dropout(part["output"](inner), dropped, self.training), self.output_norm)


def spread(x: Tensor, at: Tensor) -> Tensor:
    """(tokens, width) -> (texts, longest, width), with zeros where a text has ended."""
    return torch.cat([x, x.new_zeros(1, x.shape[1])])[at]


def _matrix(arrays: dict[str, Tensor], name: str) -> Tensor:
    return arrays[name].float() * arrays[f"{name}.scale"][:, None]


def _normed(x: Tensor, norm: Tensor) -> Tensor:
    return functional.layer_norm(x, (x.shape[-1],), norm[0], norm[1], 1e-12)


# --- The head with gradients: `netgpt.completion.relevance` again.


@dataclass
class ReadTexts:
    """Some texts as the head takes them: words (texts, longest, WIDTH), where there are any, means (texts, 384), and
    the means as the coarse score sees them (texts, WIDTH)."""

    words: Tensor
    there: Tensor
    mean: Tensor
    coarse: Tensor

    def take(self, which: Any) -> ReadTexts:
        """Some of them, or with a table of numbers a row of texts each."""
        return ReadTexts(self.words[which], self.there[which], self.mean[which], self.coarse[which])


class RelevanceNetwork(nn.Module):  # type: ignore[misc]  # torch is not followed
    """`network.read(texts, side)`, then `network.pairs(requests, facts)`: logits (requests, facts)."""

    def __init__(self, base: Path, *, rank: int = RANK) -> None:
        """`base`: the encoder's file. Raises ModelUnavailable."""
        super().__init__()
        self.tokenizer = SentenceEncoder(base, most_tokens=MOST_TOKENS)
        file = read_arrays(base)
        arrays = {name: torch.from_numpy(array.copy()) for name, array in file.arrays.items() if name != "vocabulary"}
        heads, layers = int(file.metadata["heads"]), int(file.metadata["layers"])
        self.base_sha256 = file.sha256
        self.table = _matrix(arrays, "words")
        self.positions, self.norm = arrays["positions"], arrays["norm"]
        self.layers = nn.ModuleList(
            EncoderLayer(arrays, f"layer.{n}", heads, rank if n >= FIRST_LAYER else 0) for n in range(layers)
        )
        width = self.table.shape[1]
        self.words = nn.ModuleDict({side: nn.Linear(width, WIDTH) for side in ("request", "fact")})
        self.means = nn.ModuleDict({side: nn.Linear(width, WIDTH) for side in ("request", "fact")})
        self.compare = nn.ModuleDict({side: nn.Linear(4 * WIDTH, WIDTH) for side in ("request", "fact")})
        self.inner, self.outer = nn.Linear(6 * WIDTH + 1, WIDTH), nn.Linear(WIDTH, 1)
        nn.init.zeros_(self.outer.weight)
        nn.init.constant_(self.outer.bias, -3.0)
        self.cosine, self.coarse = nn.Parameter(torch.tensor(8.0)), nn.Parameter(torch.tensor([6.4, -3.0]))

    def read(self, texts: Sequence[str], side: str) -> ReadTexts:
        """`side`: "request" or "fact"."""
        hidden, there = self._hidden(texts)
        return self._read(hidden, there, side)

    def read_both(self, requests: Sequence[str], facts: Sequence[str]) -> tuple[ReadTexts, ReadTexts]:
        """Both sides in one pass of the encoder."""
        hidden, there = self._hidden([*requests, *facts])
        cut = len(requests)
        return self._read(hidden[:cut], there[:cut], "request"), self._read(hidden[cut:], there[cut:], "fact")

    def _read(self, hidden: Tensor, there: Tensor, side: str) -> ReadTexts:
        longest = int(there.sum(1).max())
        hidden, there = hidden[:, :longest], there[:, :longest]
        mean = functional.normalize(hidden.sum(1), dim=-1)
        return ReadTexts(self.words[side](hidden), there, mean, self.means[side](mean))

    def _hidden(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        ids = self.tokenizer.ids(texts)
        lengths = torch.tensor([len(each) for each in ids])
        flat = torch.tensor([number for each in ids for number in each])
        there = torch.arange(int(lengths.max()))[None] < lengths[:, None]
        at = torch.full(there.shape, len(flat))
        at[there] = torch.arange(len(flat))
        places = torch.cat([torch.arange(len(each)) for each in ids])
        x = _normed(self.table[flat] + self.positions[places], self.norm)
        with torch.no_grad():
            for layer in self.layers[:FIRST_LAYER]:
                x = layer(x, at, there, DROPPED)
        for layer in self.layers[FIRST_LAYER:]:
            x = layer(x, at, there, DROPPED)
        return spread(x, at), there

    def rough(self, requests: ReadTexts, facts: ReadTexts) -> Tensor:
        """Logits from the means alone."""
        scale, offset = self.coarse
        return scale * (requests.coarse @ facts.coarse.T) + offset + self.cosine * (requests.mean @ facts.mean.T)

    def pairs(self, requests: ReadTexts, facts: ReadTexts) -> Tensor:
        """`facts`: the same for all requests, or (after `take` with a table) a row for each."""
        words, there, mean, coarse = (
            each if each.dim() == dims else each[None]
            for each, dims in ((facts.words, 4), (facts.there, 3), (facts.mean, 3), (facts.coarse, 3))
        )
        own, asked = requests.words[:, None], requests.there[:, None, :, None]
        known = there[..., None]
        likeness = torch.einsum("rid,qnjd->rnij" if len(words) == 1 else "rid,rnjd->rnij", requests.words, words)
        likeness = likeness / math.sqrt(WIDTH)
        of_fact = likeness.masked_fill(~there[:, :, None, :], -1e4).softmax(3)
        of_request = likeness.masked_fill(~requests.there[:, None, :, None], -1e4).softmax(2)
        left = self._compared("request", own, of_fact @ words)
        right = self._compared("fact", words, of_request.transpose(2, 3) @ own)
        inner = [*_pooled(left, asked), *_pooled(right, known)]
        inner += [requests.coarse[:, None] * coarse * 8, (requests.coarse[:, None] - coarse).abs()]
        cosine = (requests.mean[:, None] * mean).sum(-1, keepdim=True)
        features = functional.gelu(self.inner(torch.cat([*inner, cosine], dim=-1)))
        logits = self.outer(functional.dropout(features, DROPPED, self.training)) + self.cosine * cosine
        return torch.as_tensor(logits.squeeze(-1))

    def _compared(self, side: str, own: Tensor, other: Tensor) -> Tensor:
        layer = self.compare[side]
        a, b, c, d = layer.weight.T.chunk(4)  # of own, other, own - other, own * other
        return functional.gelu(own @ (a + c) + other @ (b - c) + (own * other) @ d + layer.bias)

    def arrays(self) -> dict[str, Any]:
        """What is learnt, as `netgpt.encoder` and `netgpt.completion.relevance` read it."""
        found: dict[str, Tensor] = {}
        for number, layer in enumerate(self.layers):
            for part, dense in layer.parts.items():
                if dense.down is not None:
                    found[f"layer.{number}.{part}.A"], found[f"layer.{number}.{part}.B"] = dense.down, dense.up
        for side in ("request", "fact"):
            found[f"{FORM}{side}.words.w"], found[f"{FORM}{side}.words.b"] = _dense(self.words[side])
            found[f"{FORM}{side}.mean.w"], found[f"{FORM}{side}.mean.b"] = _dense(self.means[side])
            weight, found[f"{FORM}{side}.b"] = _dense(self.compare[side])
            a, b, c, d = weight.chunk(4)
            found[f"{FORM}{side}.own"], found[f"{FORM}{side}.other"], found[f"{FORM}{side}.both"] = a + c, b - c, d
        found[f"{FORM}out.w1"], found[f"{FORM}out.b1"] = _dense(self.inner)
        found[f"{FORM}out.w2"] = self.outer.weight[0]
        found[f"{FORM}out.b2"] = torch.stack([self.outer.bias[0], self.cosine])
        found[f"{FORM}coarse"] = torch.stack([self.coarse[0], self.cosine])
        return {name: np.ascontiguousarray(each.detach().numpy().astype(np.float16)) for name, each in found.items()}


def _dense(layer: nn.Module) -> tuple[Tensor, Tensor]:
    return torch.as_tensor(layer.weight).T, torch.as_tensor(layer.bias)


def _pooled(x: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and greatest over the words that are there."""
    return (x * there).sum(2) / there.sum(2), x.masked_fill(~there, -1e4).amax(2)


# --- Learning.


def varied_request(text: str, chance: random.Random) -> str:
    """As another hurried person would have typed it."""
    if chance.random() < 0.25:
        text = text.lower()
    if chance.random() < 0.25:
        text = text.rstrip("?.!")
    if chance.random() < 0.08 and len(text) > 6:
        at = chance.randrange(1, len(text) - 2)
        text = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text


def varied_fact(kind: str, text: str, told: float, chance: random.Random) -> str:
    """With or without its stop, its capital and its kind."""
    if chance.random() < 0.2:
        text = text.rstrip(".")
    if chance.random() < 0.15:
        text = text[0].lower() + text[1:]
    return wording(kind, text) if chance.random() < told else text


class Lessons:
    """The steps of a pass: lists of cards."""

    def __init__(self, cards: Sequence[PersonCard], public: PublicRequests | None, chance: random.Random) -> None:
        self._free = [card for card in cards if card.origin in FREE]
        self._others = [card for card in cards if card.origin not in FREE]
        self._public, self._chance = public, chance

    def __len__(self) -> int:
        others = len(self._others) + (PUBLIC_CARDS if self._public else 0)
        return math.ceil(len(self._free) / FREE_CARDS_A_STEP) + math.ceil(others / CARDS_A_STEP)

    def __iter__(self) -> Iterator[Sequence[PersonCard]]:
        free = self._chance.sample(self._free, len(self._free))
        others = list(self._others)
        if self._public is not None:
            others += [self._public.card(self._chance) for _ in range(PUBLIC_CARDS)]
        self._chance.shuffle(others)
        steps = [free[at : at + FREE_CARDS_A_STEP] for at in range(0, len(free), FREE_CARDS_A_STEP)]
        steps += [others[at : at + CARDS_A_STEP] for at in range(0, len(others), CARDS_A_STEP)]
        self._chance.shuffle(steps)
        return iter(steps)


def step_loss(network: RelevanceNetwork, cards: Sequence[PersonCard], chance: random.Random) -> Tensor:
    """How wrong the network is on some cards."""
    free = cards[0].origin in FREE
    told = 0.1 if free else TOLD
    asked = [varied_request(text, chance) for card in cards for text, _ in card.requests]
    known = [varied_fact(kind, text, told, chance) for card in cards for kind, text in card.facts]
    requests, facts = network.read_both(asked, known)
    loss, pairs, row, column = torch.zeros(()), 0, 0, 0
    alone: list[tuple[int, int, int, int]] = []
    for card in cards:
        rows, columns = slice(row, row + len(card.requests)), slice(column, column + len(card.facts))
        due = torch.zeros(len(card.requests), len(card.facts))
        for index, (_, needed) in enumerate(card.requests):
            due[index, list(needed)] = 1
            if len(needed) == 1:
                alone.append((row + index, column + next(iter(needed)), columns.start, columns.stop))
        loss = loss + _card_loss(network, requests.take(rows), facts.take(columns), due)
        pairs, row, column = pairs + due.numel(), rows.stop, columns.stop
    loss = loss / pairs
    return loss + _contest(network, requests, facts, alone) if free and len(cards) > 1 else loss


def _card_loss(network: RelevanceNetwork, requests: ReadTexts, facts: ReadTexts, due: Tensor) -> Tensor:
    logits = network.pairs(requests, facts)
    loss = functional.binary_cross_entropy_with_logits(logits, due * 0.98 + 0.005, reduction="sum")
    rough = network.rough(requests, facts)
    loss = loss + 0.3 * functional.binary_cross_entropy_with_logits(rough, due, reduction="sum")
    needing = due.sum(1) > 0
    if needing.any():
        shares = logits[needing].log_softmax(1) * due[needing]
        loss = loss - 0.1 * due.shape[1] * (shares.sum(1) / due[needing].sum(1)).sum()
    return loss


def _contest(
    network: RelevanceNetwork, requests: ReadTexts, facts: ReadTexts, alone: Sequence[tuple[int, int, int, int]]
) -> Tensor:
    """Requests with one fact that helps, against the facts of other cards: (request, fact, own card's first, end)."""
    asking = requests.take([request for request, *_ in alone])
    gold = torch.tensor([fact for _, fact, *_ in alone])
    rough = network.rough(asking, facts)
    others = rough.detach().clone()
    for row, (_, _, start, end) in enumerate(alone):
        others[row, start:end] = -math.inf
    rivals = torch.cat([gold[:, None], others.topk(HARDEST, dim=1).indices], dim=1)
    exact = network.pairs(asking, facts.take(rivals))
    first = torch.zeros(len(alone), dtype=torch.long)
    return 0.15 * (functional.cross_entropy(rough, gold) + functional.cross_entropy(exact, first))


def learn(
    network: RelevanceNetwork, lessons: Lessons, passes: int, chance: random.Random,
    told: Callable[[int, int, float], None] = lambda _done, _all, _loss: None,
) -> None:  # fmt: skip
    """Train in place. `told` hears of each step: its number, all, and the loss so far in this pass."""
    learnt = [each for each in network.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(learnt, lr=RATE, weight_decay=0.01)
    steps, done = max(1, passes * len(lessons)), 0

    def rate(step: int) -> float:
        return min(1.0, (step + 1) / (WARM_UP * steps)) * max(LAST_RATE, (1 + math.cos(math.pi * step / steps)) / 2)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    network.train()
    for _ in range(passes):
        total = 0.0
        for number, cards in enumerate(lessons, start=1):
            loss = step_loss(network, cards, chance)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(learnt, 1.0)
            optimizer.step()
            schedule.step()
            total, done = total + loss.item(), done + 1
            told(done, steps, total / number)
    network.eval()


def calibration(network: RelevanceNetwork, cards: Sequence[PersonCard]) -> tuple[float, float]:
    """Slope and offset that make chances of logits on cards that were not learnt from (Platt's scaling)."""
    logits, due = [], []
    with torch.no_grad():
        for card in cards:
            facts = [wording(kind, text) for kind, text in card.facts]
            requests, known = network.read_both([text for text, _ in card.requests], facts)
            logits.append(network.pairs(requests, known).reshape(-1))
            table = torch.zeros(len(card.requests), len(card.facts))
            for index, (_, needed) in enumerate(card.requests):
                table[index, list(needed)] = 1
            due.append(table.reshape(-1))
    x, y = torch.cat(logits), torch.cat(due)
    line = torch.tensor([1.0, 0.0], requires_grad=True)
    optimizer = torch.optim.LBFGS([line], max_iter=50)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = functional.binary_cross_entropy_with_logits(line[0] * x + line[1], y)
        loss.backward()
        return loss

    optimizer.step(closure)
    return float(line[0]), float(line[1])


class NeedHead(nn.Module):  # type: ignore[misc]  # torch is not followed
    """Which of the common kinds of facts a request needs, from its mean alone: logits (requests, kinds)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(width, WIDTH), nn.Linear(WIDTH, len(NEEDED))

    def forward(self, mean: Tensor) -> Tensor:
        inner = functional.gelu(self.inner(mean * math.sqrt(mean.shape[1])))
        return torch.as_tensor(self.outer(functional.dropout(inner, 2 * DROPPED, self.training)))

    def arrays(self) -> dict[str, Any]:
        """As `netgpt.completion.relevance` reads them."""
        (w1, b1), (w2, b2) = _dense(self.inner), _dense(self.outer)
        parts = {"need.w1": w1, "need.b1": b1, "need.w2": w2, "need.b2": b2}
        return {
            f"{FORM}{name}": np.ascontiguousarray(x.detach().numpy().astype(np.float16)) for name, x in parts.items()
        }


def learn_needs(network: RelevanceNetwork, lessons: Sequence[KindLesson], chance: random.Random) -> NeedHead:
    """The head of kinds, on what the trained network makes of each request."""
    parts = [lessons[at : at + NEEDS_AT_ONCE] for at in range(0, len(lessons), NEEDS_AT_ONCE)]
    with torch.no_grad():
        means = [network.read([each.request for each in part], "request").mean for part in parts]
    x = torch.cat(means)
    due = torch.tensor([[float(each.due.get(kind, False)) for kind in NEEDED] for each in lessons])
    told = torch.tensor([[float(kind in each.due) for kind in NEEDED] for each in lessons])
    head = NeedHead(x.shape[1])
    optimizer = torch.optim.AdamW(head.parameters(), lr=NEEDS_RATE, weight_decay=0.02)
    order = list(range(len(lessons)))
    for _ in range(NEEDS_PASSES):
        chance.shuffle(order)
        for at in range(0, len(order), NEEDS_AT_ONCE):
            rows = order[at : at + NEEDS_AT_ONCE]
            loss = functional.binary_cross_entropy_with_logits(head(x[rows]), due[rows], weight=told[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    head.eval()
    return head


def make_relevance(
    base: Path, out: Path, *, data: Path | None, passes: int = 4, seed: int = 7, leave_out: Collection[str] = (),
    begin: Path | None = None, progress: Progress = lambda _: None,
    told: Callable[[int, int, float], None] = lambda _done, _all, _loss: None,
) -> dict[str, Any]:  # fmt: skip
    """Train, and write `out` and its card beside it (.json). Returns the card. No pass: only what comes after them.

    `leave_out`: origins (of cards or public sets) that nothing is learnt from. A twentieth of the cards is kept for the
    calibration. `begin`: the state of an earlier training (.pt) to go on from. Raises RequestError, ModelUnavailable.
    """
    torch.manual_seed(seed)
    chance = random.Random(seed)
    cards = [card for card in read_cards() if card.origin not in leave_out]
    if not cards:
        raise RequestError("nothing is left to learn from", param="leave-out")
    chance.shuffle(cards)
    kept = [card for card in cards if _is_kept(card)]
    cards = [card for card in cards if not _is_kept(card)]
    datasets = [name for name in DATASETS if data is not None and name not in leave_out]
    public = PublicRequests(data, fact_pools(cards), datasets) if data is not None and datasets else None
    network = RelevanceNetwork(base)
    if begin is not None:
        network.load_state_dict(torch.load(begin, weights_only=True))
    lessons = Lessons(cards, public, chance)
    progress(f"{len(cards)} cards, {', '.join(datasets) or 'no public data'}, {passes * len(lessons)} steps")
    learn(network, lessons, passes, chance, told)
    torch.save(network.state_dict(), out.with_suffix(".pt"))
    slope, offset = calibration(network, kept)
    progress("kinds of facts that requests need")
    needs = learn_needs(network, kind_lessons(cards, data, datasets), chance)
    arrays = {**network.arrays(), **needs.arrays(), f"{FORM}calibration": np.array([slope, offset], np.float32)}
    write_arrays(out, arrays, {"form": DELTA_FORM, "base": network.base_sha256})
    card = {
        "made": datetime.now(UTC).date().isoformat(),
        "sha256": hashlib.sha256(out.read_bytes()).hexdigest(),
        "base": network.base_sha256,
        "learnt from": {"cards": _counted(cards), "public": datasets, "languages": ["en", *(x[5:] for x in LANGUAGES)]},
        "left out": sorted(leave_out),
        "begun from": None if begin is None else hashlib.sha256(begin.read_bytes()).hexdigest(),
        "passes": passes,
        "seed": seed,
        "calibration": {"slope": round(slope, 4), "offset": round(offset, 4), "cards": len(kept)},
        "settings": {"rank": RANK, "first layer": FIRST_LAYER, "width": WIDTH, "rate": RATE},
    }
    out.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return card


def _is_kept(card: PersonCard) -> bool:
    """Whether a card is for the calibration alone: by its words, so that it is in every training."""
    return hashlib.sha256(card.facts[0][1].encode()).digest()[0] < 256 * CALIBRATING


def _counted(cards: Sequence[PersonCard]) -> dict[str, int]:
    return {origin: sum(card.origin == origin for card in cards) for origin in sorted({card.origin for card in cards})}
