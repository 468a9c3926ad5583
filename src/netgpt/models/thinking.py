"""What a model thinks aloud, taken out of its answer: `<think>...</think>` at its beginning is `reasoning_content`.

The built-in engine does so itself where the model's template says how it thinks; other servers (Ollama, vLLM without
a parser, LM Studio) often leave the tags in the text. Only what an answer begins with counts: further on, a tag is
something that the answer speaks of. However the text is cut into chunks, the outcome is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from netgpt.types import Chunk

PAIRS: Final = {
    **{f"<{name}>": f"</{name}>" for name in ("think", "thinking", "thought", "reasoning", "seed:think")},
    "[THINK]": "[/THINK]",
}  # fmt: skip
"""Tags and their ends: Qwen, DeepSeek, SmolLM; others; Seed; Magistral."""
_MOST_HELD: Final = 4_096
"""Characters of blanks that wait for what follows them."""
_MOST_KEPT: Final = 100_000
"""Characters of thoughts without an end that are kept, as they may have been the answer."""


class Thoughts:
    """Reads the chunks of one answer and gives them with thoughts and words apart."""

    def __init__(self) -> None:
        self._choices: dict[int, _Choice] = {}

    def chunks(self, chunk: Chunk) -> Iterator[Chunk]:
        """The chunk, changed where it holds thoughts; nothing, where all its words wait to be known for what they are.

        A choice's `delta` and `index` are as `AnswerChecker` leaves them.
        """
        parts = [self._part(choice) for choice in chunk["choices"]]
        if all(part is choice for part, choice in zip(parts, chunk["choices"], strict=True)):
            yield chunk
        elif "usage" in chunk or any(part is not None for part in parts):
            yield {**chunk, "choices": [part for part in parts if part is not None]}

    def _part(self, choice: dict[str, Any]) -> dict[str, Any] | None:
        known = self._choices.setdefault(choice["index"], _Choice())
        delta, reason, words = choice["delta"], choice.get("finish_reason"), choice["delta"].get("content")
        if known.state == "plain" or not (words or reason or delta.get("tool_calls")):
            return choice
        thought, said = known.read(words or "")
        if reason or delta.get("tool_calls"):
            late, more = known.end(was_cut=reason == "length" or bool(delta.get("tool_calls")))
            thought, said = thought + late, said + more
        result = {name: value for name, value in delta.items() if name != "content"}
        if thought:
            result["reasoning_content"] = (result.get("reasoning_content") or "") + thought
        if said or words == "" or ("content" in delta and words is None):
            result["content"] = said or words
        if not result and not reason and choice.get("logprobs") is None:
            return None
        return {**choice, "delta": result}


class _Choice:
    """One choice so far: "start" (may become thoughts), "think", "after" (blanks before the words), "plain"."""

    def __init__(self) -> None:
        self.state = "start"
        self._waits = self._end = ""
        self._thoughts: list[str] = []
        self._kept = 0

    def read(self, words: str) -> tuple[str, str]:
        """Thoughts and words that are known now."""
        text, self._waits, thought = self._waits + words, "", ""
        if self.state == "start":
            start = text.lstrip()
            tag = next((each for each in PAIRS if start.lower().startswith(each.lower())), None)
            if tag is not None:
                self.state, self._end, text = "think", PAIRS[tag].lower(), start[len(tag) :]
            elif any(each.lower().startswith(start.lower()) for each in PAIRS) and len(text) <= _MOST_HELD:
                self._waits = text
                return "", ""
            else:
                self.state = "plain"
        if self.state == "think":
            thought, text = self._think(text)
        if self.state == "after" and (text := text.lstrip()):
            self.state = "plain"
        return thought, text

    def _think(self, text: str) -> tuple[str, str]:
        """The thoughts in `text`, and what follows them."""
        small = text.lower()
        at = small.find(self._end) if len(small) == len(text) else text.find(self._end)
        if at >= 0:
            self.state = "after"
            rest = text[at + len(self._end) :]
        else:
            begun = range(len(self._end) - 1, 0, -1)
            at, rest = len(text) - next((n for n in begun if small.endswith(self._end[:n])), 0), ""
        thought = text[:at].rstrip()
        if self.state == "think":
            thought = thought if at - len(thought) <= _MOST_HELD else text[:at]
            self._waits = text[len(thought) :]
        thought = thought if self._thoughts else thought.lstrip()
        if thought:
            self._thoughts.append(thought if self._kept < _MOST_KEPT else "")
            self._kept += len(thought)
        return thought, rest

    def end(self, *, was_cut: bool) -> tuple[str, str]:
        """What still waits, as the choice ends. Thoughts that had no end though the answer has one were the answer."""
        waits, self._waits, state, self.state = self._waits, "", self.state, "plain"
        if state != "think":
            return "", waits
        whole = "".join(self._thoughts) + waits
        return waits.rstrip(), whole.strip() if not was_cut and self._kept < _MOST_KEPT else ""
