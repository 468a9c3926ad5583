"""What people see while `netgpt train` works: tables on stdout, bars on stderr."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from netgpt.cli.common import console, print_table

if TYPE_CHECKING:
    from netgpt.examples.example import Summary
    from netgpt.tuning.lora import Step

__all__ = ["JudgingBar", "TrainingBar", "show_summary"]


def show_summary(summary: Summary, skipped: Mapping[str, int], notes: Sequence[str]) -> None:
    """The examples by origin and by slice, and why others were left out."""
    rows: list[list[object]] = [["origin", name, count] for name, count in summary.origins.items()]
    rows += [["slice", name, count] for name, count in summary.slices.items()]
    rows += [["left out", why, count] for why, count in skipped.items()]
    title = (
        f"{summary.examples:,} examples ({summary.held_out:,} held out), about {summary.tokens:,} tokens, "
        f"{summary.people} people"
    )
    print_table(["", "what", "examples"], rows, title=title)
    for note in notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)


class _Bar(AbstractContextManager["_Bar"]):
    """A bar that shows only once there is something to show."""

    def __init__(self, progress: Progress, quiet: bool) -> None:
        self._progress, self._quiet = progress, quiet
        self._task = progress.add_task("", total=None, told="")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def _show(self, description: str, done: int, total: int, told: str = "") -> None:
        if not self._quiet:
            self._progress.start()
        self._progress.update(self._task, description=description, completed=done, total=total, told=told)


class TrainingBar(_Bar):
    """Epoch, loss, tokens a second, time left, peak memory."""

    def __init__(self, resumes: bool, quiet: bool) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"))
        super().__init__(Progress(*columns, console=console), quiet)
        if resumes and not quiet:
            console.print("A training of the same examples was cut here: it goes on.")

    def told(self, step: Step) -> None:
        """One step was made."""
        left = f"{int(step.seconds_left) // 60}:{int(step.seconds_left) % 60:02d} left"
        told = f"loss {step.loss:.3f}  {step.tokens_per_s:.0f} tokens/s  {left}  {step.peak_mb:.0f} MB"
        self._show(f"epoch {min(step.epoch, step.epochs)}/{step.epochs}", step.done_tokens, step.total_tokens, told)


class JudgingBar(_Bar):
    """Which part of the gate, and how far."""

    def __init__(self, quiet: bool) -> None:
        columns = (TextColumn("judging: {task.description}"), BarColumn(), MofNCompleteColumn())
        super().__init__(Progress(*columns, console=console), quiet)

    def told(self, part: str, done: int, whole: int) -> None:
        """So many of a part are judged."""
        self._show(part, done, whole)
