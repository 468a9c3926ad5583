"""The model that is trained: embedding, the layers from the lowest trained one up, head. Needs torch."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from netgpt.tuning.bases import Base
from netgpt.tuning.batches import Tree
from netgpt.tuning.layers import Layer, Pairs, TreeLayout, load_layer, normed, places_of
from netgpt.tuning.lora import Recipe
from netgpt.tuning.loss import answer_loss

__all__ = ["Net"]


class Net:
    """`trained`: what the optimizer changes, by name: the adapter's pairs in fp32, or every weight."""

    def __init__(self, base: Base, recipe: Recipe, device: torch.device, dtype: torch.dtype) -> None:
        self.base, self.shape, self.recipe = base, base.shape, recipe
        self.device, self.dtype = device, dtype
        count = self.shape.layers if recipe.layers is None or recipe.full else min(recipe.layers, self.shape.layers)
        self.lowest = self.shape.layers - count
        """Number of the lowest trained layer; those below are the trunk."""
        names = base.names
        outer = [name for name in self.shape.family.outer if name in names]
        self.outer = {name: base.read(name, dtype).to(device) for name in outer}
        self.layers: list[Layer] = []
        self.trained: dict[str, Tensor] = {}

    def load(self) -> None:
        """Read the layers that are trained or stand above one, and make what is trained."""
        numbers = range(self.lowest, self.shape.layers)
        self.layers = [load_layer(self.base, number, self.device, self.dtype) for number in numbers]
        self.trained = self._every_weight() if self.recipe.full else self._fresh_pairs()
        for tensor in self.trained.values():
            tensor.requires_grad_(True)

    def embedded(self, tokens: Tensor, depths: Tensor) -> Tensor:
        """(N) tokens at (N) depths -> (N, hidden)."""
        x = torch.nn.functional.embedding(tokens, self.outer["token_embd.weight"])
        positions = self.outer.get("position_embd.weight")
        return x if positions is None else x + torch.nn.functional.embedding(depths, positions)

    def loss(self, tree: Tree, x: Tensor | None, *, checkpointing: bool = False) -> Tensor:
        """Summed loss of the tree's answers. `x`: what the trunk made of the nodes; None: begin with the tokens."""
        places = places_of(tree, self.shape, self.device, self.dtype)
        if x is None:
            x = self.embedded(places.tokens, places.depths)
        wanted = sorted(set(tree.rows))
        wanted += wanted[:1] * (-len(wanted) % 64)  # as nodes are filled up, see `TreeLayout`
        for number, layer in enumerate(self.layers, self.lowest):
            top = number == self.shape.layers - 1
            keep = torch.tensor(wanted, device=self.device) if top else None
            x = self._run(layer, number, x, places, keep, checkpointing)
        at = {node: place for place, node in enumerate(wanted)}
        rows = torch.tensor([at[node] for node in tree.rows], device=self.device)
        head = self.outer.get("output.weight", self.outer["token_embd.weight"])
        x = normed(x, self.outer, "output_norm", self.shape).index_select(0, rows)
        return answer_loss(x, head, torch.tensor(tree.targets, device=self.device))

    def _run(
        self, layer: Layer, number: int, x: Tensor, places: TreeLayout, keep: Tensor | None, checkpointing: bool
    ) -> Tensor:
        forward = partial(layer.forward, shape=self.shape, places=places, pairs=self._pairs(number), keep=keep)
        if not checkpointing or not torch.is_grad_enabled():
            return forward(x)
        from torch.utils.checkpoint import checkpoint  # it brings much along

        again: Tensor = checkpoint(forward, x, use_reentrant=False, preserve_rng_state=False)
        return again

    def _pairs(self, number: int) -> Pairs:
        """The pairs of a layer as its matrices take them."""
        if self.recipe.full:
            return {}
        scale = self.recipe.alpha / self.recipe.rank
        found = {}
        for word in self.shape.family.targets(self.recipe.targets):
            a, b = (self.trained[f"blk.{number}.{word}.lora_{side}"] for side in "ab")
            found[word] = (a.to(self.dtype), (b * scale).to(self.dtype))
        return found

    def _fresh_pairs(self) -> dict[str, Tensor]:
        """A is uniform within 1/sqrt(in), as PEFT draws it; B is zero, so that the adapter begins as nothing."""
        pairs: dict[str, Tensor] = {}
        dice = torch.Generator().manual_seed(random.Random(self.recipe.seed).getrandbits(62))  # noqa: S311  weights, no secret
        for number in range(self.lowest, self.shape.layers):
            for word in self.shape.family.targets(self.recipe.targets):
                out, width = self.shape.sides(word)
                a = (torch.rand(self.recipe.rank, width, generator=dice) * 2 - 1) / width**0.5
                pairs[f"blk.{number}.{word}.lora_a"] = a.to(self.device)
                pairs[f"blk.{number}.{word}.lora_b"] = torch.zeros(out, self.recipe.rank, device=self.device)
        return pairs

    def _every_weight(self) -> dict[str, Tensor]:
        weights = dict(self.outer)
        for number, layer in enumerate(self.layers):
            weights |= {f"blk.{number}.{word}.weight": tensor for word, tensor in layer.matrices.items()}
            weights |= {f"blk.{number}.{word}.bias": tensor for word, tensor in layer.biases.items()}
            weights |= {f"blk.{number}.{name}": tensor for name, tensor in layer.norms.items()}
        return weights

    def unjoined(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Every weight by the name under which a model stores it: joined matrices taken apart again."""
        if self.shape.architecture == "gpt2":
            return dict(weights)
        apart: dict[str, Tensor] = {}
        joined = {
            "attn_qkv": (("attn_q", "attn_k", "attn_v"), self.shape.fused_rows),
            "ffn_up": (("ffn_gate", "ffn_up"), (self.shape.inner, self.shape.inner)),
        }
        for name, tensor in weights.items():
            word = name.split(".")[2] if name.startswith("blk.") else ""
            if word not in joined:
                apart[name] = tensor
                continue
            words, rows = joined[word]
            for part, piece in zip(words, tensor.split(list(rows)), strict=True):
                apart[name.replace(word, part)] = piece
        return apart

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put values back into what is trained."""
        with torch.no_grad():
            for name, tensor in self.trained.items():
                tensor.copy_(tensors[name])
