"""Tries weights as they will be used: started, asked through their own chat template, and timed while they write."""

from __future__ import annotations

import re
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from netgpt.errors import NetGPTError
from netgpt.models.client import EdgeModel
from netgpt.models.engine import Engine
from netgpt.models.stream import join_chunks

QUESTION: Final = "What is the capital of France? Answer in one sentence."
ANSWER_TOKENS: Final = 64
LONG_TASK: Final = "Tell a story about a harbour town in the morning."
WRITTEN_TOKENS: Final = 48
PATIENCE_S: Final = 300.0
_LEAKED: Final = re.compile(r"<\|\w+\|>|<(?:start|end)_of_turn>|\[/?INST\]|</?s>|</?think>", re.IGNORECASE)
"""Marks of templates: in an answer they say that template and engine do not understand one another."""


@dataclass(frozen=True)
class WeightsTrial:
    """How weights did. `why`: what is wrong, or worth knowing, in a sentence; `written_per_s`: tokens a second."""

    works: bool
    answer: str
    why: str = ""
    thinks: bool = False
    """Whether it thought aloud before it answered."""
    written_per_s: float | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """To be noted in the catalogue."""
        return asdict(self)


async def try_out(path: Path, *, threads: int = 0, thinking: bool = False, context_tokens: int = 2048) -> WeightsTrial:
    """Ask one question with a known answer, and let it write for a while. Never raises for what the weights do."""
    with tempfile.TemporaryDirectory(prefix="netgpt-trial-") as folder:
        engine = Engine(
            path, context_tokens=context_tokens, slots=1, threads=threads, thinking=thinking, probe_s=0,
            log_path=Path(folder) / "engine.log", start_timeout_s=PATIENCE_S,
        )  # fmt: skip
        model = EdgeModel("trial", engine.endpoint, path.stem, timeout_s=PATIENCE_S, default_max_tokens=ANSWER_TOKENS)
        try:
            await engine.start()
            asked, _ = await _ask(model, QUESTION, ANSWER_TOKENS * (4 if thinking else 1))
            _, per_s = await _ask(model, LONG_TASK, WRITTEN_TOKENS)
        except NetGPTError as error:
            return WeightsTrial(False, "", error.message)
        finally:
            await model.close()
            await engine.stop(0)
    return judged(asked, per_s)


async def _ask(model: EdgeModel, text: str, tokens: int) -> tuple[dict[str, Any], float | None]:
    """The whole answer, and the tokens a second after the first one."""
    body = {
        "messages": [{"role": "user", "content": text}], "max_tokens": tokens, "temperature": 0,
        "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip
    chunks, times = [], []
    async for chunk in model.chat(body):
        chunks.append(chunk)
        if any(set(choice["delta"].values()) - {"assistant", "", None} for choice in chunk["choices"]):
            times.append(time.perf_counter())
    answer = join_chunks(chunks)
    written = (answer.get("usage") or {}).get("completion_tokens")
    if not isinstance(written, int) or written < 2 or len(times) < 2 or times[-1] <= times[0]:
        return answer, None
    return answer, round((written - 1) / (times[-1] - times[0]), 1)


def judged(asked: dict[str, Any], per_s: float | None) -> WeightsTrial:
    """What the answer to `QUESTION` (a whole `chat.completion`) says of template and engine."""
    message = asked["choices"][0]["message"] if asked["choices"] else {}
    words, thoughts = (message.get("content") or "").strip(), (message.get("reasoning_content") or "").strip()
    leaked = _LEAKED.search(words)
    if leaked:
        why = f"its chat template does not fit this engine: the answer holds {leaked[0]}"
    elif not words and thoughts:
        why = "it thought for all its tokens and did not answer: edge.thinking = false, or a larger edge.max_tokens"
    elif not words:
        why = "it answered nothing through its own chat template"
    else:
        why = (
            "" if "paris" in words.lower() else f"asked for the capital of France it did not say Paris: {words[:80]!r}"
        )
    works = bool(words) and not leaked
    return WeightsTrial(works, words[:200], why, bool(thoughts), per_s)
