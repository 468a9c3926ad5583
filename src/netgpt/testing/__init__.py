"""Lists of properties, one per contract, to run over your own implementations.

async def test_my_model():
    await check_model(lambda: MyModel(...))
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from netgpt.errors import AdapterGone
from netgpt.models.base import ChatModel, Health, RemoteModel
from netgpt.models.stream import join_chunks
from netgpt.types import Chunk, Usage

if TYPE_CHECKING:
    from netgpt.testing.plugins import check_detector, check_stage

__all__ = ["MODEL_PROPERTIES", "check_detector", "check_model", "check_stage"]


def __getattr__(name: str) -> Any:  # these two know the pipeline, which who asks only a model need not load
    if name in ("check_detector", "check_stage"):
        return getattr(import_module("netgpt.testing.plugins"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


Model = ChatModel | RemoteModel
Ask = Callable[[Any, Mapping[str, Any]], AsyncIterator[Chunk]]
"""How to put a body to a model: `model.chat(body)`, or sealing it first for a RemoteModel."""

_TEXT = "Tell me, in a few words, what a base station does all day long in the rain."
_PATIENCE_S = 10.0
"""How long closing and cancelling may take, in seconds: a busy machine may stand still for a moment."""
_LONGEST_S = 30.0


def _body(**more: Any) -> dict[str, Any]:
    return {"model": "any", "messages": [{"role": "user", "content": _TEXT}], **more}


def _ask_plainly(model: Any, body: Mapping[str, Any]) -> AsyncIterator[Chunk]:
    answer: AsyncIterator[Chunk] = model.chat(body)
    return answer


async def _all(answer: AsyncIterator[Chunk]) -> list[Chunk]:
    async with asyncio.timeout(_LONGEST_S):
        return [chunk async for chunk in answer]


def _close(answer: AsyncIterator[Chunk]) -> aclosing[Any]:
    assert hasattr(answer, "aclose"), "an answer must be closable: write it as an async generator"
    return aclosing(cast(Any, answer))


async def knows_its_health(model: Any, ask: Ask) -> None:
    """It has a name, and knows its health at once."""
    assert isinstance(model.name, str) and model.name, "a model has a name"
    assert isinstance(model.health(), Health), "health() returns a Health, without awaiting anything"


async def answers_whole(model: Any, ask: Ask) -> None:
    """A body without `stream` gets one chunk, in which the choice is whole."""
    chunks = await _all(ask(model, _body()))
    assert len(chunks) == 1, f"an unstreamed answer is one chunk, not {len(chunks)}"
    _check_ended(chunks, 1)


async def answers_streamed(model: Any, ask: Ask) -> None:
    """A streamed answer ends with a `finish_reason`, says nothing after it, and has its usage."""
    chunks = await _all(ask(model, _body(stream=True, stream_options={"include_usage": True})))
    _check_ended(chunks, 1)
    assert Usage.from_openai(join_chunks(chunks).get("usage")), "usage is sent, in whole tokens"


async def gives_every_choice(model: Any, ask: Ask) -> None:
    """`n` choices are told apart by their index, and each ends, streamed or not."""
    for stream in (False, True):
        _check_ended(await _all(ask(model, _body(n=2, stream=stream))), 2)


async def leaves_the_body(model: Any, ask: Ask) -> None:
    """Asking does not change the body."""
    body = _body(stream=True)
    before = copy.deepcopy(body)
    await _all(ask(model, body))
    assert body == before, "chat() must not change the body it is given"


async def closes_early(model: Any, ask: Ask) -> None:
    """An answer may be closed after its first chunk; the model answers again afterwards."""
    answer = ask(model, _body(stream=True))
    async with asyncio.timeout(_LONGEST_S):
        await anext(answer)
    async with asyncio.timeout(_PATIENCE_S):
        async with _close(answer):
            pass
    _check_ended(await _all(ask(model, _body())), 1)


async def obeys_cancelling(model: Any, ask: Ask) -> None:
    """A cancelled task ends at once, as cancelled; the model answers again afterwards."""
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in ask(model, _body(stream=True)):
            begun.set()
            await asyncio.sleep(_LONGEST_S)

    task = asyncio.create_task(read())
    await asyncio.wait_for(begun.wait(), _LONGEST_S)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=_PATIENCE_S)
    assert done and task.cancelled(), "cancelling must end the call"
    _check_ended(await _all(ask(model, _body())), 1)


async def answers_several_at_once(model: Any, ask: Ask) -> None:
    """Calls at the same time do not mix."""
    answers = await asyncio.gather(*(_all(ask(model, _body(stream=bool(number % 2)))) for number in range(4)))
    for chunks in answers:
        _check_ended(chunks, 1)


async def has_an_adapter_or_says_that_it_is_gone(model: Any, ask: Ask) -> None:
    """A ChatModel answers with the adapter asked for, or raises AdapterGone; then it answers without."""
    if isinstance(model, ChatModel):
        with suppress(AdapterGone):
            _check_ended(await _all(model.chat(_body(), adapters=("nobody@1",))), 1)
    _check_ended(await _all(ask(model, _body())), 1)


async def hides_what_it_saw(model: Any, ask: Ask) -> None:
    """`repr` and `health` never show what was asked."""
    await _all(ask(model, _body()))
    assert _TEXT not in repr(model) + model.health().detail, "repr and health must not show requests"


async def closes_twice(model: Any, ask: Ask) -> None:
    """`close` may be called twice."""
    await _all(ask(model, _body()))
    await model.close()
    await model.close()


MODEL_PROPERTIES: tuple[Callable[[Any, Ask], Awaitable[None]], ...] = (
    knows_its_health,
    answers_whole,
    answers_streamed,
    gives_every_choice,
    leaves_the_body,
    closes_early,
    obeys_cancelling,
    answers_several_at_once,
    has_an_adapter_or_says_that_it_is_gone,
    hides_what_it_saw,
    closes_twice,
)
"""What every ChatModel and RemoteModel keeps. Each takes a fresh model and a way to ask it."""


async def check_model(make_model: Callable[[], Model], *, ask: Ask = _ask_plainly) -> None:
    """Run every property over a fresh model each. Raises AssertionError that names the property.

    `ask` puts a body to the model; a RemoteModel needs one that seals the body first. The model must really answer.
    """
    for holds in MODEL_PROPERTIES:
        model = make_model()
        try:
            await holds(model, ask)
        except AssertionError as error:
            raise AssertionError(f"{holds.__name__}: {error}") from error
        finally:
            await model.close()


def _check_ended(chunks: list[Chunk], choices: int) -> None:
    """Every choice came, ended once, and said nothing after its end."""
    ended: set[int] = set()
    for chunk in chunks:
        for choice in chunk["choices"]:
            assert choice["index"] not in ended, "a choice says nothing after its finish_reason"
            if choice.get("finish_reason"):
                ended.add(choice["index"])
    assert ended == set(range(choices)), f"choices 0..{choices - 1} must end with a finish_reason; {ended} did"
    assert chunks, "an answer has chunks"
    for choice in join_chunks(chunks)["choices"]:
        message = choice["message"]
        assert message.get("content") or message.get("tool_calls"), "a choice says something"
