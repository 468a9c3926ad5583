"""What people see while an adapter is trained and judged: tables on stdout, bars on stderr."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Self

from netgpt.cli.common import console, print_table, progress_bar, say
from netgpt.training.example import Summary
from netgpt.training.lora.recipe import Step
from netgpt.training.service import TrainingProgress


class TrainingView(TrainingProgress):
    """Draws; one thing at a time, until the `with` block ends."""

    def __init__(self) -> None:
        self._shown = ExitStack()
        self._judging = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.close()

    def gathering(self) -> None:
        self._shown.enter_context(console.status("gathering examples"))

    def written(self, examples: int, tokens: int) -> None:
        console.print(f"  {examples} pairs, {tokens} tokens", style="dim")

    def gathered(self, summary: Summary, skipped: Mapping[str, int], notes: Sequence[str]) -> None:
        """The examples by origin and by slice, and why others were left out."""
        self._shown.close()
        named = {"origin": summary.origins, "slice": summary.slices, "left out": skipped}
        rows = [[what, name, count] for what, counts in named.items() for name, count in counts.items()]
        counts = f"{summary.examples:,} examples ({summary.held_out:,} held out), about {summary.tokens:,} tokens"
        print_table(["", "what", "examples"], rows, title=f"{counts}, {summary.people} people")
        for note in notes:
            say(note)

    def begun(self, resumes: bool) -> None:
        if resumes:
            say("A training of the same examples was cut here: it goes on.")
        self._draw("status")

    def step(self, step: Step) -> None:
        """Epoch, loss, tokens a second, time left, peak memory."""
        minutes, seconds = divmod(int(step.seconds_left), 60)
        epoch = f"epoch {min(step.epoch, step.epochs)}/{step.epochs}"
        left = f"{minutes}:{seconds:02d} left  {step.peak_mb:.0f} MB"
        status = f"loss {step.loss:.3f}  {step.tokens_per_s:.0f} tokens/s  {left}"
        done, whole = step.done_tokens, step.total_tokens
        self._bar.update(self._task, description=epoch, completed=done, total=whole, status=status)

    def judging(self, part: str, done: int, whole: int) -> None:
        if not self._judging:
            self._draw("count")
            self._judging = True
        self._bar.update(self._task, description=f"judging: {part}", completed=done, total=whole)

    def _draw(self, column: str) -> None:
        """Another bar instead of what is shown."""
        self._shown.close()
        self._bar = self._shown.enter_context(progress_bar(column))
        self._task = self._bar.add_task("", total=None, status="")
