"""The training loop that one writes first: transformers, PEFT, AdamW. What `netgpt bench train` compares with.

    python -m netgpt_bench.train_plain < job.json

Full precision, padded batches in shuffled order, labels masked to the answer, logits of every position (that is what
`model(input_ids, labels=...)` computes), rate rising and falling as in our trainer. One JSON line comes back.
"""

from __future__ import annotations

import json
import math
import random
import sys
import time
from typing import Any


def main() -> int:
    """Read a job as `training.run` writes it to stdin, train, write one line of figures."""
    began = time.monotonic()
    job: dict[str, Any] = json.load(sys.stdin)
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(job["threads"])
    torch.manual_seed(job["seed"])
    loaded = AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.float32)
    config = LoraConfig(r=job["rank"], lora_alpha=job["alpha"], target_modules=job["targets"], task_type="CAUSAL_LM")
    model = get_peft_model(loaded, config)
    optimizer = torch.optim.AdamW([part for part in model.parameters() if part.requires_grad], lr=job["rate"])
    curve: list[list[float]] = []
    trained_at, cpu_at, tokens, step = time.monotonic(), time.process_time(), 0, 0
    steps = job["epochs"] * -(-len(job["learnt"]) // job["batch"])
    dice = random.Random(job["seed"])
    for _ in range(job["epochs"]):
        order = list(range(len(job["learnt"])))
        dice.shuffle(order)
        model.train()
        for start in range(0, len(order), job["batch"]):
            rows = [job["learnt"][at] for at in order[start : start + job["batch"]]]
            for group in optimizer.param_groups:
                group["lr"] = _rate(job["rate"], step, steps)
            model(**_padded(rows)).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            tokens += sum(len(ids) for ids, _ in rows)
        curve.append([time.monotonic() - trained_at, _measured(model, job)])
    from netgpt.training.lora.memory import peak_mb

    result = {
        "seconds": time.monotonic() - began, "train_s": time.monotonic() - trained_at,
        "cpu_s": time.process_time() - cpu_at, "tokens": tokens, "loss": curve[-1][1], "curve": curve,
        "peak_mb": peak_mb(),
    }  # fmt: skip
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


def _padded(rows: list[Any]) -> dict[str, Any]:
    import torch

    longest = max(len(ids) for ids, _ in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, -100)
    for at, (row, start) in enumerate(rows):
        ids[at, : len(row)] = torch.tensor(row)
        mask[at, : len(row)] = 1
        labels[at, start : len(row)] = torch.tensor(row[start:])
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def _measured(model: Any, job: dict[str, Any]) -> float:
    """Mean loss over the answers' tokens of the held-out rows."""
    import torch

    model.eval()
    total = count = 0.0
    with torch.no_grad():
        for start in range(0, len(job["measured"]), job["batch"]):
            rows = job["measured"][start : start + job["batch"]]
            answers = sum(len(ids) - begin for ids, begin in rows)
            total += float(model(**_padded(rows)).loss) * answers
            count += answers
    return total / max(count, 1.0)


def _rate(highest: float, step: int, steps: int) -> float:
    """The same rise and fall as in `netgpt.training.lora`."""
    warm = max(1.0, 0.1 * steps)
    if step < warm:
        return highest * (step + 1) / warm
    return highest * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1.0, steps - warm))))


if __name__ == "__main__":
    sys.exit(main())
