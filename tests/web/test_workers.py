"""`netgpt serve --workers 2`: real processes over one store, that know the same and die alone."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier
from typing import Any

import httpx
import pytest
from serving import Served

from netgpt.settings import load_settings
from netgpt.store.store import open_store
from netgpt.testing.server import FaultyCloud, last_user_text

pytestmark = pytest.mark.slow

LONG = "tell me a long story"
EACH_ANEW = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), timeout=120, trust_env=False)
"""A connection of its own for each request: any worker may take it."""


class Box(Served):
    """A box with several workers."""

    def post(self, body: dict[str, Any], path: str = "/v1/chat/completions", **options: Any) -> httpx.Response:
        return EACH_ANEW.post(self.url + path, json=body, headers=self.headers, **options)

    def get(self, path: str, key: str | None = None, **options: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}"} if key else self.headers
        return EACH_ANEW.get(self.url + path, headers=headers, **options)


def says(body: Any) -> str:
    """A long story where one is asked for, else the last words again."""
    text = last_user_text(body)
    return "word " * 150 if LONG in text else text


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """Two workers, whose callers need keys; `box.key` is an admin's."""
    settings = {
        "privacy__names": "false",
        "server__workers": "2",
        "lockout__failures": "4",
        "lockout__first_s": "300",
        "cloud__breaker_reset_s": "0.5",
        "server__drain_s": "60",
    }
    with (
        FaultyCloud(says, chunk_size=5, delay_s=0.02) as cloud,
        Box(tmp_path_factory.mktemp("home"), cloud=cloud, **settings) as served,
    ):
        served.key = made(served, "admin", "--role", "admin")["secret"]
        yield served


def made(box: Box, name: str, *options: str) -> dict[str, Any]:
    done = box.netgpt("keys", "create", "--name", name, *options, "--json")
    return dict(json.loads(done.stdout))


def who(answer: httpx.Response) -> str:
    return answer.headers["x-netgpt-worker"]


def until_both(ask: Callable[[], httpx.Response]) -> dict[str, httpx.Response]:
    """The first answer of each worker: a connection of its own for each question."""
    answers: dict[str, httpx.Response] = {}
    for _ in range(300):
        answer = ask()
        answers.setdefault(who(answer), answer)
        if len(answers) == 2:
            return answers
    raise AssertionError(f"of 300 answers all came from worker {[*answers]}")


def workers_of(box: Box) -> dict[str, int]:
    """The processes of the workers, by number; those that are just ending are none."""
    found: dict[str, int] = {}
    with suppress(FileNotFoundError, ProcessLookupError):
        for pid in Path(f"/proc/{box.process.pid}/task/{box.process.pid}/children").read_text().split():
            with suppress(FileNotFoundError, ProcessLookupError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if b"netgpt.cli.worker" in words:
                    found[words[-2].decode()] = int(pid)
    return found


def ready(box: Box, limit_s: float = 90) -> dict[str, Any]:
    """What one of them says of itself, once all answer."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        parts: dict[str, Any] = box.get("/readyz").json()["parts"]
        if parts["workers"]["ok"]:
            return parts
        time.sleep(0.05)
    raise AssertionError(f"not all workers answer:\n{box.log()[-3000:]}")


def placeholders(box: Box, before: bytes = b"") -> set[bytes]:
    """Those that the cloud saw, behind these words."""
    assert box.cloud is not None
    return set(re.findall(before + rb"(\[EMAIL_\d+\])", box.cloud.all_bytes()))


def test_a_conversation_goes_on_at_another_worker(box: Box) -> None:
    people = ["ada@mill.example", "bob@mill.example", "cy@mill.example", "dee@mill.example"]
    seen = Counter[str]()
    for turn in range(40):
        asked = f"turn {turn}: write to {people[turn % 4]} and {people[(turn // 4) % 4]}"
        answer = box.ask(asked, user="ada", netgpt={"conversation": "letters"})
        assert answer.json()["choices"][0]["message"]["content"] == asked
        seen[who(answer)] += 1
        if turn >= 12 and len(seen) == 2:
            break
    assert len(seen) == 2
    assert box.cloud is not None and not any(name.encode() in box.cloud.all_bytes() for name in people)
    assert len(placeholders(box)) == 4  # one for each of the four, whoever hid it


def test_two_at_once_in_one_conversation_get_two_placeholders(box: Box) -> None:
    def asks(number: int) -> httpx.Response:
        return box.ask(f"only to person{number}@mill.example", user="ada", netgpt={"conversation": "crowd"})

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(asks, range(24)))
    for number, answer in enumerate(answers):
        assert answer.json()["choices"][0]["message"]["content"] == f"only to person{number}@mill.example"
    assert len({who(answer) for answer in answers}) == 2
    assert len(placeholders(box, b"only to ")) == 24


def test_a_revoked_key_is_refused_by_both_at_once(box: Box) -> None:
    key = made(box, "short-lived")

    def asks() -> httpx.Response:
        return box.get("/v1/models", key["secret"])

    assert {answer.status_code for answer in until_both(asks).values()} == {200}
    box.netgpt("keys", "revoke", key["id"])  # committed when the command ends
    assert {answer.status_code for answer in until_both(asks).values()} == {401}


def test_minutes_of_a_key_are_counted_once(box: Box) -> None:
    key = made(box, "modest", "--requests-per-minute", "10")["secret"]

    def asks(_: int) -> httpx.Response:
        return box.get("/v1/models", key)

    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(asks, range(60)))
    came_back = 1 + int((time.monotonic() - began) / 6)  # one each six seconds
    admitted = [who(answer) for answer in answers if answer.status_code == 200]
    assert 10 <= len(admitted) <= 10 + came_back
    assert {answer.status_code for answer in answers} == {200, 429}


def test_a_budget_is_overrun_by_one_request_a_worker_at_most(box: Box) -> None:
    key = made(box, "poor", "--tokens-per-day", "400")["secret"]
    text = "one two three four five six seven eight nine ten " * 4  # 40 words, and as many come back

    def asks(_: int) -> httpx.Response:
        body = {"model": "netgpt/cloud", "messages": [{"role": "user", "content": text}], "max_tokens": 40}
        headers = {"authorization": f"Bearer {key}"}
        return EACH_ANEW.post(f"{box.url}/v1/chat/completions", json=body, headers=headers)

    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(asks, range(40)))
    assert {answer.status_code for answer in answers} == {200, 429}
    used = [answer.json()["usage"]["total_tokens"] for answer in answers if answer.status_code == 200]
    assert sum(used) <= 400 + 2 * max(used)
    assert len({who(answer) for answer in answers}) == 2
    while asks(0).status_code == 200:  # estimates were dropped: what is left may be used
        used.append(max(used))
    assert 400 <= sum(used) <= 400 + 2 * max(used)


def test_wrong_keys_are_counted_together(box: Box) -> None:
    def guesses(number: int) -> httpx.Response:
        key = f"ngpt_{number:03d}{'x' * 40}"
        return box.get("/v1/models", key)

    answers = [guesses(number) for number in range(60)]
    assert [answer.status_code for answer in answers[:3]] == [401] * 3
    wrong = [answer for answer in answers if answer.status_code == 401]
    assert len(wrong) <= 6  # four, and what was under way between two processes
    assert {who(answer) for answer in answers[10:]} == {"1", "2"}
    assert box.get("/v1/models").status_code == 200  # who had worked from here before


def test_figures_are_those_of_all(box: Box) -> None:
    def count(answer: httpx.Response) -> float:
        lines = [line for line in answer.text.splitlines() if line.startswith("netgpt_exchanges_total{")]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    before = count(box.get("/metrics"))
    with ThreadPoolExecutor(8) as pool:
        answered = Counter(who(answer) for answer in pool.map(lambda _: box.ask("hello"), range(30)))
    assert set(answered) == {"1", "2"}
    after = until_both(lambda: box.get("/metrics"))
    assert [count(answer) - before for answer in after.values()] == [30, 30]
    text = after["1"].text
    assert 'netgpt_worker_up{worker="1"} 1.0' in text and 'netgpt_worker_up{worker="2"} 1.0' in text
    assert len(re.findall(r"^netgpt_up\{part=\"store\"\}", text, re.M)) == 1


def test_the_log_has_whole_lines_of_both(box: Box) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: box.get("/v1/models"), range(60)))
    lines = box.netgpt("logs", "-n", "60").stdout.splitlines()
    form = r"\S+ \S+ (INFO|WARNING|ERROR) [\w.]+: \[worker [12]\] \S.*"
    assert [line for line in lines if not re.fullmatch(form, line)] == []
    assert {number for line in lines for number in re.findall(r"\[worker (\d)\]", line)} == {"1", "2"}


def test_settings_are_read_anew_by_both(box: Box) -> None:
    box.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + 60
    while box.log().count("SIGHUP: the settings were read anew") < 2 and time.monotonic() < until:
        time.sleep(0.02)
    assert {"worker 1", "worker 2"} <= set(re.findall(r"\[(worker \d)\] SIGHUP: the settings", box.log()))


def test_a_rating_at_any_worker_counts_once(box: Box) -> None:
    ids = [box.ask(f"hello {number}", model="netgpt", user="ada").json()["netgpt"]["exchange"] for number in range(8)]
    rated = Counter(who(box.post({"exchange": id, "rating": 1, "user": "ada"}, "/v1/feedback")) for id in ids)
    for _ in range(200):
        if len(rated) == 2:
            break
        answer = box.post({"exchange": ids[0], "rating": 1, "user": "ada"}, "/v1/feedback")  # the same opinion again
        rated[who(answer)] += 1
    assert len(rated) == 2
    until, rows = time.monotonic() + 60, dict[str, Any]()
    while not (len(rows) == 8 and all(row.get("parts", {}).get("rating") == 1 for row in rows.values())):
        assert time.monotonic() < until, rows
        rows = learnt(box, ids)
    assert all(row["counted"] is not None for row in rows.values())


def test_what_may_wait_is_sent_once_whoever_kept_it(box: Box) -> None:
    assert box.cloud is not None
    box.cloud.stop()  # it keeps its port
    body = {"model": "netgpt/cloud", "user": "ada", "netgpt": {"may_wait": True}}
    kept: dict[str, str] = {}
    for number in range(60):
        answer = box.post({**body, "messages": [{"role": "user", "content": f"question {number}"}]})
        assert answer.status_code == 202
        kept[answer.json()["id"]] = who(answer)
        if number >= 5 and len(set(kept.values())) == 2:
            break
    assert set(kept.values()) == {"1", "2"}
    box.cloud.start()
    until, asked = time.monotonic() + 90, {"user": "ada", "reason": "how it was answered"}
    while any(box.get(f"/v1/waiting/{id}", params=asked).json()["status"] != "answered" for id in kept):
        assert time.monotonic() < until, box.get("/v1/waiting", params={"user": "ada"}).text
        time.sleep(0.1)
    sent = [request.header("idempotency-key") for request in box.cloud.received]
    assert {id: sent.count(id) for id in kept} == dict.fromkeys(kept, 1)


def test_a_killed_worker_ends_its_streams_and_no_others(box: Box) -> None:
    body = {"model": "netgpt/cloud", "messages": [{"role": "user", "content": LONG}], "stream": True}
    killed: list[str] = []

    def follows(_: int) -> tuple[str, bytes, bool]:
        number, taken = "", b""
        try:
            with EACH_ANEW.stream("POST", f"{box.url}/v1/chat/completions", json=body, headers=box.headers) as answer:
                number = who(answer)
                for piece in answer.iter_raw():
                    taken += piece
                    if not killed and len(taken) > 2000:
                        killed.append(number)
                        os.kill(workers_of(box)[number], signal.SIGKILL)
        except httpx.TransportError:
            return number, taken, True
        return number, taken, False

    before = workers_of(box)
    with ThreadPoolExecutor(16) as pool:
        streams = list(pool.map(follows, range(16)))
    for number, taken, was_cut in streams:
        whole = b"data: [DONE]" in taken and b'"finish_reason":"stop"' in taken
        assert whole is not was_cut and (not was_cut or number in (killed[0], ""))
    assert any(was_cut and taken for _, taken, was_cut in streams) and any(not was_cut for *_, was_cut in streams)
    assert box.ask("still there?").status_code == 200
    parts = ready(box)
    assert parts["workers"]["detail"] == "2 of 2 answer, 1 started again"
    after = workers_of(box)
    other = "1" if killed == ["2"] else "2"
    assert after[other] == before[other] and after[killed[0]] != before[killed[0]]
    until_both(lambda: box.ask("hello"))


def test_what_both_wrote_holds_together(box: Box) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert {who(answer) for answer in pool.map(lambda _: box.ask("hello"), range(24))} == {"1", "2"}
    assert box.netgpt("receipts", "verify", check=False).returncode == 0  # after a kill in the middle, too
    assert box.netgpt("store", "check", check=False).returncode == 0


def test_told_to_stop_all_end_what_they_have_begun(box: Box) -> None:
    body = {"model": "netgpt/cloud", "messages": [{"role": "user", "content": LONG}], "stream": True}

    def follows(_: int) -> tuple[str, bytes]:
        with EACH_ANEW.stream("POST", f"{box.url}/v1/chat/completions", json=body, headers=box.headers) as answer:
            begun.wait(60)
            return who(answer), answer.read()

    begun, processes = Barrier(13), workers_of(box).values()
    with ThreadPoolExecutor(12) as pool:
        streams = [pool.submit(follows, number) for number in range(12)]
        begun.wait(60)  # each has its first words
        box.process.send_signal(signal.SIGTERM)
        ended = [stream.result() for stream in streams]
    assert box.process.wait(60) == 0
    assert all(b"data: [DONE]" in taken and b'"finish_reason":"stop"' in taken for _, taken in ended)
    assert {number for number, _ in ended} == {"1", "2"}
    assert workers_of(box) == {} if Path(f"/proc/{box.process.pid}").exists() else True
    assert [pid for pid in processes if Path(f"/proc/{pid}").exists()] == []


def learnt(box: Box, ids: list[str]) -> dict[str, dict[str, Any]]:
    """What is kept of these decisions now."""

    async def read() -> dict[str, dict[str, Any]]:
        store = open_store(load_settings(environment={}, home=box.home))
        try:
            rows = [await store.decisions.find(id) for id in ids]
            return {row.id: row.private for row in rows if row is not None}
        finally:
            await store.close()

    return asyncio.run(read())
