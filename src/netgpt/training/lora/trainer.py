"""One run of training: encode, memory plan, trunk, steps, held-out loss, checkpoints, result. Needs torch."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from netgpt.errors import RequestError
from netgpt.training.example import Example, held_out
from netgpt.training.lora.data import Encoded, build_prefix_tree, load_tokenizer, pack, plan_batches
from netgpt.training.lora.memory import (
    HiddenStates,
    device_of,
    dtype_of,
    free_memory,
    peak_mb,
    plan_memory,
    run_trunk,
    stored_vectors,
)
from netgpt.training.lora.model import Net
from netgpt.training.lora.recipe import Recipe, Step, TrainedAdapter
from netgpt.training.lora.weights import open_base
from netgpt.training.lora.writers import load_state, make_folder, save_state, write_adapter, write_model

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
SAVE_SHARE = 20.0
"""A checkpoint may take a twentieth of the time: writing a whole model takes longer than an adapter."""
WARMUP_SHARE, LAST_RATE = 0.1, 0.1


class Adam:
    """AdamW (arXiv 1711.05101) without weight decay, over a dictionary of tensors.

    `first` and `second` are the running moments by name: with the count of steps, all there is to save. PyTorch's own
    class imports its compiler: 75 MB and 1.5 s for an update of ten lines.
    """

    def __init__(self, trained: Mapping[str, Tensor]) -> None:
        self.trained = trained
        self.first = {name: torch.zeros_like(tensor) for name, tensor in trained.items()}
        self.second = {name: torch.zeros_like(tensor) for name, tensor in trained.items()}
        self.steps = 0

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, rate: float, clip: float = 1.0) -> None:
        """One update from the gradients, which are clipped to a common norm and dropped."""
        self.steps += 1
        names = [name for name, tensor in self.trained.items() if tensor.grad is not None]
        if not names:
            return
        values, first, second = ([part[name] for name in names] for part in (self.trained, self.first, self.second))
        grads = [tensor.grad for tensor in values if tensor.grad is not None]
        norm = torch.stack([grad.float().norm() for grad in grads]).norm()
        torch._foreach_mul_(grads, float(clip / max(float(norm), clip)))
        torch._foreach_lerp_(first, grads, 1 - BETA_1)
        torch._foreach_mul_(second, BETA_2)
        torch._foreach_addcmul_(second, grads, grads, 1 - BETA_2)
        for value, mean, square in zip(values, first, second, strict=True):
            spread = (square / (1 - BETA_2**self.steps)).sqrt_().add_(EPSILON)
            value.addcdiv_(mean, spread, value=-rate / (1 - BETA_1**self.steps))
            value.grad = None


class Training:
    """Holds what a run needs; `run` does it. See `train` for the arguments."""

    def __init__(
        self, base: Path, examples: Sequence[Example], recipe: Recipe, work: Path,
        progress: Callable[[Step], None], resume: bool,
    ) -> None:  # fmt: skip
        self._began = time.monotonic()
        self.recipe, self.work, self._progress, self._resume = recipe, work, progress, resume
        self.hidden: HiddenStates | None = None
        make_folder(work)
        self.base = open_base(base)
        self._encode(examples)
        self.state: dict[str, Any] = {
            "epoch": 0, "batch": 0, "steps": 0, "tokens": 0, "seconds": 0.0, "trained_s": 0.0,
            "sum": 0.0, "count": 0, "last": 0.0, "best": None, "bad": 0, "measured": None,
        }  # fmt: skip
        self.best: dict[str, Tensor] = {}

    def run(self) -> TrainedAdapter:
        before = torch.get_num_threads()
        torch.set_num_threads(self.recipe.threads or len(os.sched_getaffinity(0)))
        try:
            self._set_up()
            return self._result(self._train())
        finally:
            if self.hidden is not None:
                self.hidden.close()
            torch.set_num_threads(before)

    def _encode(self, examples: Sequence[Example]) -> None:
        tokenizer = load_tokenizer(self.base)
        most = min(self.recipe.max_tokens, self.base.shape.context)
        self.learnt: list[Encoded] = []
        self.measured: list[Encoded] = []
        self.left_out = 0
        for example in examples:
            encoded = tokenizer.encode(example)
            if len(encoded.ids) > most:
                self.left_out += 1
            elif self.recipe.held_out and held_out(example, self.recipe.held_out):
                self.measured.append(encoded)
            else:
                self.learnt.append(encoded)
        if not self.learnt:
            raise RequestError(
                f"nothing to train on: {len(examples)} examples given, {self.left_out} longer than {most} tokens "
                f"(max_tokens), {len(self.measured)} held out"
            )
        self.lengths = [len(example.ids) for example in self.learnt]

    def _set_up(self) -> None:
        shape = self.base.shape
        self.device, self.digest = device_of(self.recipe), self._digest()
        saved = load_state(self.work / "checkpoint.safetensors") if self._resume else None
        if saved is not None and saved[1].get("digest") != self.digest:
            saved = None  # other data, another recipe or base: that run is over
        self.dtype = getattr(torch, saved[1]["dtype"]) if saved else dtype_of(self.recipe, shape, self.device)
        self.net = Net(self.base, self.recipe, self.device, self.dtype)
        encoded = [*self.learnt, *self.measured]
        lengths = [len(example.ids) - 1 for example in encoded]
        self.plan = plan_memory(
            self.recipe, shape, self.dtype, self.device, longest=max(lengths) + 1, stored_tokens=sum(lengths)
        )
        self._trained_at, self._cpu_at = time.monotonic(), time.process_time()
        if self.net.lowest:
            path = self.work / "trunk.bin" if self.plan.on_disk else None
            self.hidden = HiddenStates(lengths, shape.hidden, self.dtype, path)
            batch_tokens, trunk = max(self.plan.tokens_at_once, max(lengths)), range(self.net.lowest)
            run_trunk(
                self.base, encoded, self.hidden, self.net.embedded, trunk,
                at_once=self.plan.trunk_layers, batch_tokens=batch_tokens, device=self.device,
            )  # fmt: skip
        free_memory(0.0)
        self.net.load()
        self._make_optimizer(saved)

    def _make_optimizer(self, saved: tuple[dict[str, Tensor], dict[str, Any]] | None) -> None:
        self.optimizer = Adam(self.net.trained)
        self.resumed = saved is not None
        if saved is None:
            return
        tensors, self.state = saved
        self.net.restore(tensors)
        self.best = {name[5:]: tensor for name, tensor in tensors.items() if name.startswith("best.")}
        self.optimizer.steps = self.state["steps"]
        for name in self.net.trained:
            self.optimizer.first[name].copy_(tensors[f"first.{name}"])
            self.optimizer.second[name].copy_(tensors[f"second.{name}"])

    def _digest(self) -> str:
        """Of everything that the result depends on, except the machine."""
        machine = ("memory_mb", "threads", "save_every_s")
        recipe = {key: value for key, value in asdict(self.recipe).items() if key not in machine}
        whole = hashlib.sha256(json.dumps([recipe, self.base.digest()], sort_keys=True).encode())
        for example in (*self.learnt, *self.measured):
            whole.update(repr((example.ids, example.start)).encode())
        return whole.hexdigest()

    def _train(self) -> str:
        """All epochs; returns why it stopped: "epochs" or "early"."""
        state = self.state
        self._saved_at, self._save_every = time.monotonic(), self.recipe.save_every_s
        while state["epoch"] < self.recipe.epochs:
            batches = plan_batches(self.lengths, self.recipe.batch_tokens, self.recipe.seed, state["epoch"])
            while state["batch"] < len(batches):
                self._step(batches[state["batch"]], len(batches))
                state["batch"] += 1
                if time.monotonic() - self._saved_at > self._save_every:
                    self._save()
            state["last"] = state["sum"] / state["count"]
            state.update(epoch=state["epoch"] + 1, batch=0, sum=0.0, count=0)
            if self._measure_epoch():
                return "early"
            self._save()
        return "epochs"

    def _step(self, batch: Sequence[int], batches: int) -> None:
        """One optimizer step: the batch in parts that fit the memory plan, their gradients summed."""
        state, rows = self.state, sum(self.lengths[at] - self.learnt[at].start for at in batch)
        total = 0.0
        for part in pack(batch, self.lengths, self.plan.tokens_at_once):
            loss = self._loss_of(part, self.learnt, 0)
            (loss / rows).backward()
            total += loss.item()
            free_memory(self.plan.limit_mb)
        self.optimizer.step(self._rate(state["steps"], batches * self.recipe.epochs))
        state["steps"] += 1
        state["tokens"] += sum(self.lengths[at] for at in batch)
        state["sum"] += total
        state["count"] += rows
        self._report(total / rows)

    def _loss_of(self, part: Sequence[int], examples: Sequence[Encoded], offset: int) -> Tensor:
        tree = build_prefix_tree([examples[at] for at in part])
        x = None
        if self.hidden is not None:
            x = stored_vectors(self.hidden, [at + offset for at in part], tree).to(self.device)
        return self.net.loss(tree, x, checkpointing=self.plan.checkpointing)

    def _rate(self, step: int, steps: int) -> float:
        """The learning rate: a linear warm-up, then a cosine."""
        warmup = max(1.0, WARMUP_SHARE * steps)
        if step < warmup:
            return self.recipe.learning_rate * (step + 1) / warmup
        share = (step - warmup) / max(1.0, steps - warmup)
        return self.recipe.learning_rate * (LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * share)))

    def _report(self, loss: float) -> None:
        state, recipe = self.state, self.recipe
        total = sum(self.lengths) * recipe.epochs
        seconds = max(1e-9, state["trained_s"] + time.monotonic() - self._trained_at)
        rate = state["tokens"] / seconds
        seconds_left = (total - state["tokens"]) / rate
        step = Step(
            state["epoch"] + 1, recipe.epochs, state["tokens"], total, loss, rate, seconds_left, peak_mb(),
            state["measured"],
        )  # fmt: skip
        self._progress(step)

    def _measure_epoch(self) -> bool:
        """Measure the held-out part, keep the state if it is the best. True: stop early."""
        if not self.measured:
            return False
        loss, state = self.held_out_loss(), self.state
        state["measured"] = loss
        if state["best"] is None or loss < state["best"]:
            state.update(best=loss, bad=0)
            self.best = {name: tensor.detach().cpu().clone() for name, tensor in self.net.trained.items()}
        else:
            state["bad"] += 1
        return bool(state["bad"] >= self.recipe.patience)

    def held_out_loss(self) -> float:
        """Mean loss over the answers' tokens of the held-out examples, in nats."""
        total = 0.0
        rows = sum(len(example.ids) - example.start for example in self.measured)
        lengths = [len(example.ids) for example in self.measured]
        with torch.no_grad():
            for batch in plan_batches(lengths, self.plan.tokens_at_once, 0, 0):
                total += self._loss_of(batch, self.measured, len(self.learnt)).item()
        return total / rows

    def _save(self) -> None:
        now = time.monotonic()
        tensors = {name: tensor.detach() for name, tensor in self.net.trained.items()}
        parts = {"first": self.optimizer.first, "second": self.optimizer.second, "best": self.best}
        tensors |= {f"{part}.{name}": tensor for part, named in parts.items() for name, tensor in named.items()}
        state = self.state | {
            "digest": self.digest, "dtype": str(self.dtype).removeprefix("torch."),
            "seconds": self.state["seconds"] + now - self._began,
            "trained_s": self.state["trained_s"] + now - self._trained_at,
        }  # fmt: skip
        save_state(self.work / "checkpoint.safetensors", tensors, state)
        self._saved_at = time.monotonic()
        every_s = self.recipe.save_every_s
        self._save_every = max(every_s, SAVE_SHARE * (self._saved_at - now)) if every_s else 0.0

    def _result(self, stopped: str) -> TrainedAdapter:
        state = self.state
        trained_s = state["trained_s"] + time.monotonic() - self._trained_at
        folder = self.work / ("model" if self.recipe.full else "adapter")
        kept = self.best or self.net.trained
        if self.recipe.full:
            write_model(folder, self.base, self.net.unjoined(kept).__getitem__, self.dtype)
        else:
            write_adapter(folder, self.base.path, self.base.shape, self.recipe, kept)
        (self.work / "checkpoint.safetensors").unlink(missing_ok=True)
        return TrainedAdapter(
            folder=folder, loss=state["last"], held_out_loss=state["best"], tokens=state["tokens"],
            tokens_per_s=state["tokens"] / trained_s, seconds=state["seconds"] + time.monotonic() - self._began,
            peak_mb=peak_mb(), stopped=stopped, examples=len(self.learnt), held_out_examples=len(self.measured),
            left_out=self.left_out, dtype=str(self.dtype).removeprefix("torch."), resumed=self.resumed,
            cpu_s=time.process_time() - self._cpu_at,
        )  # fmt: skip
