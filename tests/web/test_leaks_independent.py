"""An attack on the privacy boundary over real HTTP, with values and sentences of its own making.

Nothing planted may be read in what the cloud received, in the log, in the metrics, or in the files of the box.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from everyday import EVERYDAY
from leaking import FACTS, SECRET_WORDS, ask_all, planted, profile, seen_by
from private_requests import PLACES, framed
from private_values import leaked, readable
from serving import Served, text_of

from netgpt.privacy.detectors import find_patterns
from netgpt.privacy.process import DetectorProcess
from netgpt.privacy.vault import Vault
from netgpt.testing.server import Fault, FaultyCloud

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cloud() -> Iterator[FaultyCloud]:
    with FaultyCloud() as cloud:
        yield cloud


@pytest.fixture(scope="module")
def gateway(cloud: FaultyCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = {"privacy__media": "send", "log_level": "debug", "server__max_concurrency": "64"}
    with Served(tmp_path_factory.mktemp("leaks") / "home", cloud=cloud, **settings) as gateway:
        profile(gateway, "ada")
        yield gateway


@pytest.fixture(autouse=True)
def forget(cloud: FaultyCloud) -> None:
    cloud.forget()


def test_no_value_with_a_form_reaches_the_cloud_from_any_place(gateway: Served, cloud: FaultyCloud) -> None:
    requests = planted(11, 2)
    answers = ask_all(gateway, [{"stream": n % 3 == 0, **body} for n, (_, _, body) in enumerate(requests)])
    assert len(cloud.received) > 0.6 * len(requests), [a.text[:200] for a in answers if a.status_code != 200][:3]
    seen = seen_by(cloud)
    assert [(place, value.kind, value.text) for place, value, _ in requests if leaked(value, seen)] == []


def test_no_fact_of_a_person_reaches_the_cloud_in_any_form(gateway: Served, cloud: FaultyCloud) -> None:
    chance = random.Random(5)
    forms = [form for _, (_, forms) in FACTS.items() for form in forms] + list(FACTS)
    names = [name for name in PLACES if name not in ("end user", "form", "JSON, escaped")]
    bodies = [PLACES[chance.choice(names)](framed(chance, form)) for form in forms for _ in range(2)]
    bodies += [PLACES["form"](form) for form in forms[::3]] + [PLACES["JSON, escaped"](form) for form in forms[::3]]
    ask_all(gateway, [{**body, "user": "ada"} for body in bodies])
    seen = seen_by(cloud)
    assert len(cloud.received) > 0.9 * len(bodies)
    assert [word for word in SECRET_WORDS if "".join(c for c in word if c.isalnum()) in seen] == []


def test_one_conversation_asked_in_parallel_keeps_its_placeholders_apart(gateway: Served, cloud: FaultyCloud) -> None:
    texts = [f"my mail is u{n}.zorn@mill.example and the other one is v{n}.zorn@mill.example" for n in range(24)]
    bodies = [
        {"messages": [{"role": "user", "content": text}], "stream": n % 2 == 0, "netgpt": {"conversation": "one"}}
        for n, text in enumerate(texts)
    ]
    answers = ask_all(gateway, bodies, workers=12)
    for text, answer, body in zip(texts, answers, bodies, strict=True):
        if body["stream"]:
            lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
            assert text_of([json.loads(line) for line in lines]) == text
        else:
            assert answer.json()["choices"][0]["message"]["content"] == text
    assert "zorn" not in seen_by(cloud)


def test_a_malicious_cloud_learns_and_reveals_nothing_of_others(gateway: Served, cloud: FaultyCloud) -> None:
    gateway.ask("mine is secret.one@mill.example, call +44 20 7946 0018", user="ada", netgpt={"conversation": "a"})
    everything = " ".join(f"[{kind}_{n}]" for kind in ("EMAIL", "PHONE", "PERSON", "DIET", "CARD") for n in range(1, 9))
    cloud.reply = everything + " bare EMAIL_1 <EMAIL_1>"
    try:
        others = [
            gateway.ask("hello there", user="ada", netgpt={"conversation": "b"}),
            gateway.ask("mine is secret.one at home", user="eve", netgpt={"conversation": "a"}),
            gateway.ask("hello there", user="eve", netgpt={"conversation": "a"}),
            gateway.ask("hello there", netgpt={"conversation": "a"}),
        ]
        later = gateway.ask("and now?", user="ada", netgpt={"conversation": "a"})
        own = gateway.ask("and secret.one@mill.example?", user="ada", netgpt={"conversation": "a"}, n=2)
    finally:
        cloud.reply = lambda body: str(body["messages"][-1].get("content"))
    for answer in (*others, later):  # not even its own words come back where the request did not hold them
        assert "mill.example" not in answer.text and "7946" not in answer.text
    for choice in own.json()["choices"]:
        assert "secret.one@mill.example" in choice["message"]["content"]


def test_the_answer_is_restored_in_text_and_in_arguments(gateway: Served, cloud: FaultyCloud) -> None:
    def reply(body: Any) -> dict[str, Any]:
        masked = body["messages"][-1]["content"]
        call = {"name": "send", "arguments": json.dumps({"to": masked})}
        return {"content": masked, "tool_calls": [{"id": "c", "type": "function", "function": call}]}

    cloud.reply = reply
    text = 'write to "odd \\ quote"@mill.example or ada+"x"@mill.example'
    try:
        whole = gateway.ask(text, n=3).json()["choices"]
        events = gateway.stream({"model": "netgpt/cloud", "messages": [{"role": "user", "content": text}], "n": 3})
    finally:
        cloud.reply = lambda body: str(body["messages"][-1].get("content"))
    for choice in whole:
        assert choice["message"]["content"] == text
        assert json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"]) == {"to": text}
    for index in range(3):
        assert text_of(events, index) == text


@pytest.mark.parametrize("consent", [[], ["location"]])
def test_where_a_person_is(gateway: Served, cloud: FaultyCloud, consent: list[str]) -> None:
    place = {"latitude": 50.936389, "longitude": 6.952778, "accuracy_m": 20}
    fields: dict[str, Any] = {"netgpt": {"location": place, "consent": consent, "complete": "select", "explain": True}}
    for text in ("where can I eat tonight?", "what will the weather be?", "is there a chemist in Köln?"):
        gateway.ask(text, user="ada", **fields)
    seen = seen_by(cloud)
    assert "50936" not in seen and "6952" not in seen
    if not consent:
        assert "cologne" not in seen and "köln" not in seen


@pytest.mark.parametrize("mode", ["select", "rewrite"])
def test_completed_with_personal_facts(gateway: Served, cloud: FaultyCloud, mode: str) -> None:
    chosen = 0
    for text in ("what can I cook tonight?", "suggest a restaurant for dinner", "which snacks are safe for me?"):
        shown = gateway.ask(text, user="ada", netgpt={"complete": mode, "explain": True}).json()["netgpt"]
        chosen += len(shown["explain"]["facts"])
    assert chosen > 0
    seen = seen_by(cloud)
    assert [word for word in ("vegetarian", "peanut", "millroad", "cambridge") if word in seen] == []


def test_neither_log_nor_metrics_nor_files_hold_what_was_said(gateway: Served, cloud: FaultyCloud) -> None:
    word = "quixotic.zebra"
    text = f"my mail is {word}@mill.example, card 4111 1111 1111 1111, I am Quixotica Zebrowski"
    cloud.schedule(*[Fault.SERVER_ERROR] * 4, Fault.MALFORMED, Fault.CUT)
    for model in ("netgpt/cloud", "netgpt/edge", "netgpt", word):
        gateway.ask(text, model, user="ada")
        gateway.ask(text, model, user="ada", temperature=text)
        gateway.ask(text, model, user="ada", netgpt={"conversation": word, "location": {word: text}})
    gateway.get(f"/v1/{word}")
    httpx.post(f"{gateway.url}/v1/chat/completions", content=b'{"a": "' + text.encode(), timeout=60)
    pages = gateway.get("/metrics").text + gateway.get("/readyz").text + gateway.get("/healthz").text
    files = {
        path.name: path.read_bytes()
        for path in gateway.home.rglob("*")
        if path.is_file() and path.stat().st_size < 1 << 26
    }
    for name, content in [("pages", pages.encode()), *files.items()]:
        low = content.lower()
        for secret in (word.encode(), b"quixotica", b"4111111111111111", b"4111 1111", b"ramipril", b"zelda"):
            at = low.find(secret)
            assert at < 0, f"{name}: ...{low[max(0, at - 80) : at + 40]!r}"
    assert sqlite3.connect(gateway.home / "netgpt.db").execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_errors_echo_no_text(gateway: Served) -> None:
    word = "zebrafish-secret"
    for body in (
        {"model": word},
        {"tools": word},
        {"n": word},
        {"messages": word},
        {"stream": word},
        {"netgpt": {word: 1}},
    ):
        answer = gateway.post({"messages": [{"role": "user", "content": word}], "model": "netgpt/cloud", **body})
        assert answer.status_code >= 400 and word not in answer.text.replace(f"netgpt.{word}", ""), answer.text


def test_a_dead_edge_falls_back_to_a_cloud_that_sees_nothing(tmp_path: Path) -> None:
    with (
        FaultyCloud() as cloud,
        FaultyCloud("edge") as edge,
        Served(tmp_path / "home", cloud=cloud, edge_url=edge.base_url) as gateway,
    ):
        profile(gateway, "ada")
        edge.schedule(*[Fault.SERVER_ERROR] * 40)
        for text in ("hi, zelda has peanuts", "mail zorn@mill.example please", "is 12 mill rd near?"):
            for model in ("netgpt", "netgpt/edge"):
                gateway.ask(text, model, user="ada", netgpt={"complete": "select"})
        seen = seen_by(cloud)
        assert cloud.received
        assert [w for w in ("zelda", "peanut", "zorn", "12mill") if w in seen] == []


def test_everyday_prompts_are_left_alone() -> None:
    touched = [text for text in EVERYDAY if find_patterns(text)]
    assert len(touched) <= 0.03 * len(EVERYDAY), touched


@pytest.mark.slow
async def test_many_more_values_and_places() -> None:
    detector = DetectorProcess(names=False)
    await detector.start()
    try:
        wrong = []
        for place, value, body in planted(int(os.environ.get("LEAK_SEED", "23")), 50):
            outbound = await Vault().seal({"model": "m", **body}, detector, media="send")
            if leaked(value, readable(outbound.content)):
                wrong.append((place, value.kind, value.text, body))
        assert wrong == []
    finally:
        await detector.close()
