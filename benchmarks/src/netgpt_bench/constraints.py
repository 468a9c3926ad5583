"""`netgpt bench constraints`: do a person's private facts hold in the answer, and does nothing of them leave?

Each case is one request of a person with one private fact, answered through the whole gateway by a cloud made of rules
(in eight forms, streamed and whole), with the choosing on and without; and, with `--model`, by a real small model.
What is true of an option stands in the material, not in what is measured.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import orjson

from netgpt.app.factory import open_remotes
from netgpt.app.gateway import Gateway
from netgpt.constraints.asking import NOTES, SENTENCES
from netgpt.constraints.reading import constraints_of
from netgpt.constraints.taxonomy import taxonomy
from netgpt.context import profile_fact
from netgpt.exchange import Exchange, Request
from netgpt.models.engine import Engine
from netgpt.privacy.detector import LocalDetector
from netgpt.settings import load_settings
from netgpt.stages.record import receipts_in
from netgpt.store.store import open_store
from netgpt.testing.models import ScriptedModel
from netgpt.testing.server import FaultyCloud
from netgpt.types import Caller, Label, Person, Role
from netgpt_bench.constraints_data import TASKS, ConstraintCase, cases, written
from netgpt_bench.constraints_facts import NOTHING, RULES_OUT
from netgpt_bench.constraints_facts import rows as rows_of
from netgpt_bench.harness import Progress

_OWNER: Final = Caller("local", Role.ADMIN)
_MAX_TOKENS: Final = 260
_SEEN_BY_EYE: Final[Mapping[str, str]] = {
    "peanut": r"peanut|groundnut|satay|erdn[uü]ss|arachide|cacahu",
    "milk": r"\b(?:milk|cheese|butter|cream|yogh?urt|parmesan|mozzarella|feta)\b",
    "nut": r"\b(?:almonds?|walnuts?|cashews?|hazelnuts?|pecans?|pistachios?|pesto|pine nuts?|nuts)\b",
    "egg": r"\beggs?\b|omelet|frittata|mayonnaise",
    "gluten": r"\b(?:bread|pasta|spaghetti|noodles?|flour|couscous|pizza|toast|bun|wheat|beer|lasagn[ae])\b",
    "crustacean": r"\b(?:shrimps?|prawns?|crabs?|lobster|scampi)\b",
    "fish": r"\b(?:fish|salmon|tuna|cod|anchov\w+|sardines?|haddock)\b",
    "sesame": r"sesame|tahini|hummus",
    "soy": r"\b(?:soy|soya|tofu|miso|edamame|tempeh)\b",
    "celery": r"celer[yi]",
    "mushroom": r"mushroom|champignon",
    "meat": r"\b(?:chicken|beef|pork|bacon|ham|turkey|lamb|sausages?|steak|meat(?:balls?)?|fish|salmon|tuna|"
    r"shrimps?|prawns?|poulet|boeuf|fleisch|hähnchen|pollo|carne)\b",
    "pork": r"\b(?:pork|bacon|ham|prosciutto|pancetta|chorizo|salami|porc|schinken|speck|jambon)\b",
    "alcohol": r"\b(?:wine|beer|vodka|gin|rum|whisk(?:e)?y|tequila|liqueur|champagne|prosecco|cocktail|martini|"
    r"mojito|brandy|bourbon|wein|bier|vin|bière)\b",
    "animal": r"\b(?:leather|wool|silk|milk|cheese|honey|chicken|beef|egg|butter|cashmere)\b",
    "wool": r"\b(?:wool|cashmere|merino|alpaca)\b",
    "perfume": r"\b(?:perfume|scented|fragrance|essential oils?|cologne)\b",
    "feathers": r"\b(?:down|feathers?)\b",
    "stairs": r"\b(?:stairs?|staircase|steps)\b",
    "cats": r"\bcats?\b",
    "heights": r"\b(?:observation deck|zip.?lin\w+|climbing|ferris wheel|skydiv\w+|hot air balloon|rooftop)\b",
    "water": r"\b(?:swim\w*|kayak\w*|boat|surf\w*|snorkel\w*|diving)\b",
    "crowd": r"\b(?:festival|concert|crowd\w*|stadium|parade)\b",
    "loud": r"\b(?:concert|live music|loud|karaoke)\b",
}
"""What a real model's answer is searched for: words of this file, read without any sense for "without"."""


@dataclass
class Tally:
    """The figures of one way."""

    answers: int = 0
    violated: int = 0
    poorer: int = 0
    """Answers that lost a harmless option."""
    harmless: int = 0
    harmless_lost: int = 0
    against: int = 0
    against_left: int = 0
    empty: int = 0
    """Answers of which nothing was left although something fits."""
    said: int = 0
    leaks: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def row(self, name: str) -> dict[str, Any]:
        """As a row of the report; shares from 0 to 1."""
        return {
            "": name,
            "answers": self.answers,
            "violated": self.violated / max(1, self.answers),
            "options against left": f"{self.against_left}/{self.against}",
            "answers poorer": self.poorer / max(1, self.answers),
            "harmless options lost": f"{self.harmless_lost}/{self.harmless}",
            "nothing left though something fits": self.empty,
            "private words that left": len(self.leaks),
        }


async def run(
    *,
    sample: int = 300,
    seed: int = 7,
    held_out: bool = True,
    model: Path | None = None,
    real: int = 60,
    progress: Progress = lambda _: None,
) -> dict[str, Any]:
    """Ask all cases with and without. `held_out`: of the second half of the material. `model`: a GGUF file that answers
    `real` of them, too. Raises ModelUnavailable."""
    asked = cases(sample, seed, held_out=held_out)
    known = sum(bool(constraints_of(profile_fact(case.fact, case.kind).text, case.kind)) for case in asked)
    on, off = Tally(), Tally()
    by_task = {task: Tally() for task in TASKS}
    bodies: list[bytes] = []
    for tally, wanted in ((off, False), (on, True)):
        progress(f"{len(asked)} cases, {'chosen on the box' if wanted else 'as the cloud says'}")
        cloud = FaultyCloud(_reply(asked))
        with cloud:
            async with _Box(cloud.base_url) as box:
                for number, case in enumerate(asked):
                    cloud.forget()
                    answer = await box.ask(case, number, constraints=wanted)
                    for each in (tally, *([by_task[case.task]] if wanted else [])):
                        _note(each, case, answer, cloud.received[-1].body)
                    bodies += [each.body for each in cloud.received] if wanted else []
    rows = [
        off.row("as the cloud says"),
        on.row("chosen on the box"),
        *(each.row(task) for task, each in by_task.items()),
    ]
    result: dict[str, Any] = {
        "facts written last": _facts_read(),
        "rows": rows,
        "facts read": f"{known}/{len(asked)}",
        "samples": sample,
        "seed": seed,
        "violated": on.violations[:20],
        "left": on.leaks[:20],
        "sentence in requests": f"{sum(map(_asks, bodies))}/{len(bodies)}",
    }
    if model is not None:
        result["rows"] += await _real(model, asked[:real], progress)
    return result


def _asks(body: bytes) -> bool:
    return any(sentence.encode() in body for sentence in SENTENCES.values())


def _facts_read() -> str:
    """Of the facts written last: how many are read as what they rule out, and how many that rule nothing out."""
    right = sum(bool(_told(kind, words) & _leads_to(mark)) for kind, words, mark in rows_of(RULES_OUT))
    wrong = sum(bool(_told(kind, words)) for kind, words in rows_of(NOTHING))
    return f"{right}/{len(rows_of(RULES_OUT))} read, {wrong}/{len(rows_of(NOTHING))} of others read as something"


def _told(kind: str, words: str) -> set[str]:
    """What a fact of the person rules out: foods, needs, other kinds."""
    found: set[str] = set()
    for each in constraints_of(profile_fact(words, kind).text, kind):
        if not each.whose:
            found |= {*each.foods, *(word[0] for word in each.words), each.need, each.kind} - {""}
    return found - {"allergy", "diet", "faith", "health", "taste", "access", "fear", "habit"}


def _leads_to(mark: str) -> set[str]:
    """The mark, what it holds, and what holds it in the table."""
    foods = taxonomy().foods
    holds = taxonomy().holds(mark) if mark in foods else frozenset[str]()
    return {mark} | holds | {food for food in foods if mark in taxonomy().holds(food)}


def _reply(asked: Sequence[ConstraintCase]) -> Callable[[Mapping[str, Any]], str]:
    """The cloud made of rules: it knows a case by the number that its `user` carries in `metadata`."""

    def reply(body: Mapping[str, Any]) -> str:
        case = asked[int(body["seed"])]
        return written(case)

    return reply


class _Box:
    """A gateway in this process with a cloud at `base_url`."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    async def __aenter__(self) -> _Box:
        self._home = tempfile.TemporaryDirectory(prefix="netgpt-constraints-")
        home = Path(self._home.name)
        cloud = {"base_url": self.base_url, "model": "far", "timeout_s": 600.0}
        sections: dict[str, Any] = {"cloud": cloud, "server": {"deadline_s": 900.0}}
        settings = load_settings(environment={}, home=home, **sections)
        store = open_store(settings)
        remotes = open_remotes(settings, receipts_in(store, keep_text=True))
        self.gateway = Gateway(settings, store, ScriptedModel("the edge says so"), remotes, LocalDetector(names=False))
        await self.gateway.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.gateway.close()
        self._home.cleanup()

    async def ask(self, case: ConstraintCase, number: int, **fields: Any) -> str:
        """The final answer to one case, for a person of its own."""
        user = f"person-{number}-{fields.get('constraints', True)}"
        fact = profile_fact(case.fact, case.kind, Label(case.label))
        await self.gateway.store.add_fact(Person("local", user), fact)
        body: dict[str, Any] = {"messages": [{"role": "user", "content": case.request}], "seed": number}
        body |= {"stream": number % 2 == 0, "max_tokens": _MAX_TOKENS, "temperature": 0}
        if case.form == "json":
            body["response_format"] = {"type": "json_object"}
        exchange = Exchange(
            Request(body=body, model="netgpt/cloud", user=user, stream=body["stream"], **fields), _OWNER
        )
        await self.gateway.workflow.run(exchange)
        said = ""
        async for chunk in exchange.chunks:
            for choice in chunk.get("choices") or ():
                said += choice["delta"].get("content") or ""
        return said


def _note(tally: Tally, case: ConstraintCase, answer: str, sent: bytes) -> None:
    if case.form == "json":
        json.loads(answer)  # stays JSON, or the benchmark stops here
    shown = [option for option in case.options if option.name in answer]
    bad = [option for option in case.options if case.violates(option)]
    left = [option for option in shown if option in bad]
    lost = len(case.options) - len(bad) - (len(shown) - len(left))
    tally.answers += 1
    tally.violated += bool(left)
    tally.against += len(bad)
    tally.against_left += len(left)
    tally.poorer += lost > 0
    tally.harmless += len(case.options) - len(bad)
    tally.harmless_lost += lost
    tally.empty += len(shown) == 0
    tally.violations += [f"{case.fact!r}: {option.name} ({option.about}; {case.form})" for option in left]
    tally.leaks += leaks(case, sent)


def leaks(case: ConstraintCase, sent: bytes) -> list[str]:
    """Words of the private fact in what left, beyond the request's own."""
    messages = orjson.loads(sent)["messages"]
    text = " ".join(str(message["content"]) for message in messages).casefold()
    own = case.request.casefold()
    values = {case.fact.casefold(), *(word.casefold() for word in case.words)}
    return [
        f"{case.fact!r}: {word}" for word in values if re.search(rf"(?<!\w){re.escape(word)}", text) and word not in own
    ]


async def _real(path: Path, asked: Sequence[ConstraintCase], progress: Progress) -> list[dict[str, Any]]:
    """The same people and requests, answered by a real small model in the place of the cloud."""
    fit = [case for case in asked if case.mark in _SEEN_BY_EYE]
    rows = []
    with tempfile.TemporaryDirectory(prefix="netgpt-constraints-") as folder:
        engine = Engine(path, context_tokens=2048, slots=1, log_path=Path(folder) / "engine.log", probe_s=0)
        await engine.start()
        try:
            with FaultyCloud(_forward(engine)) as cloud:
                for wanted in (False, True):
                    progress(f"{path.stem}: {len(fit)} cases, {'chosen on the box' if wanted else 'as it says'}")
                    rows.append(await _real_row(cloud, fit, path.stem, wanted))
        finally:
            await engine.stop(0)
    return rows


async def _real_row(cloud: FaultyCloud, asked: Sequence[ConstraintCase], name: str, wanted: bool) -> dict[str, Any]:
    violated, nothing, left = 0, 0, 0
    nothing_fits = [lines[1] for lines in NOTES.values()]
    async with _Box(cloud.base_url) as box:
        for number, case in enumerate(asked):
            cloud.forget()
            answer = await box.ask(case, number, constraints=wanted)
            violated += re.search(_SEEN_BY_EYE[case.mark], answer, re.IGNORECASE) is not None
            nothing += any(line in answer for line in nothing_fits)
            left += len(leaks(case, cloud.received[-1].body))
    way = "chosen on the box" if wanted else "as it says"
    return {
        "": f"{name}, {way}",
        "answers": len(asked),
        "violated": violated / max(1, len(asked)),
        "nothing left though something fits": f"{nothing} said that nothing fits",
        "private words that left": left,
    }


def _forward(engine: Engine) -> Callable[[Mapping[str, Any]], str]:
    """Asks the engine what a body asks; the fake cloud in front of it keeps what left."""
    end = engine.endpoint()
    client = httpx.Client(
        base_url=end.base_url, headers={"Authorization": f"Bearer {end.api_key}"}, timeout=600, trust_env=False
    )

    def reply(body: Mapping[str, Any]) -> str:
        wanted = {name: body[name] for name in ("messages", "temperature", "max_tokens") if name in body}
        answer = client.post("/chat/completions", content=orjson.dumps(wanted))
        answer.raise_for_status()
        return str(answer.json()["choices"][0]["message"]["content"] or "")

    return reply
