"""Pages of instructions, definitions of tools, code and logs are not taken for names. Names in them are."""

from __future__ import annotations

from typing import Any

import pytest

from netgpt.privacy.detector import LocalDetector
from netgpt.privacy.detectors import find_patterns
from netgpt.privacy.kinds import ORDER, placeholders_only
from netgpt.privacy.vault import Vault
from netgpt.types import Terms

RULES = (
    "\n\n".join(
        f"# {title}\n- **{rule}:** {text}"
        for title, rule, text in (
            (
                "Core Mandates",
                "Conventions",
                "Rigorously adhere to what the project does. Mimic its style. Omit chitchat.",
            ),
            ("Primary Workflows", "Software Engineering Tasks", "Retry only after you have checked your assumptions."),
            ("Operational Guidelines", "Tone and Style", "Clarity over Brevity. No Chitchat. Maximize parallel calls."),
            (
                "Harness",
                "Hooks",
                "They may intercept a call; Forks inherit the conversation; short prompts are shallow.",
            ),
            ("Outside of Sandbox", "Destructive operations", "Ask first. Ambiguity is to be confirmed, Expansion too."),
            (
                "Illustrating Tone",
                "Examples",
                "Use PNG, JPG, WEBP and BMP. Prefer Glob and Grep; never useMemo blindly.",
            ),
            (
                "Final Reminder",
                "Autonomy",
                "Parallelize tool calls. Sort files by name between two runs; list them in order.",
            ),
        )
    )
    * 3
)
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"{verb} a file. Omit `limit` for all of it; Fetches 50KB at most. E.g. `{name} README.md`.",
            "parameters": {"type": "object", "properties": {"path": {"type": "string", "description": "Omit for all"}}},
        },
    }
    for name, verb in (("glob", "Finds"), ("grep", "Scans"), ("edit_file", "Edits"))
]
CODE = (
    "```\nfunction isPrime(n) { return useMemo(n) }\nclass Billing(TestCase):\n    pass\nAssertionError: 2 != 3\n```\n"
    "2026-03-02T08:15:31Z INFO job 7f0c2d1e-53a1-4f0b-9a59-0f6f2a1c8b77 done, 50KB read from /srv/try/repo/a.py; "
    "see HANDOVER.md and CLAUDE.md. ONLY EVER RETURN CODE in *SEARCH/REPLACE blocks*.\n"
    "Today's date is Sunday, November 29."
)


@pytest.fixture(scope="module")
def detector() -> LocalDetector:
    return LocalDetector()


async def sealed(detector: LocalDetector, body: dict[str, Any], terms: Any = placeholders_only) -> tuple[str, set[str]]:
    vault = Vault()
    outbound = await vault.seal(body, detector, terms=terms)
    return outbound.content.decode(), set(vault.originals().values())


async def test_an_agents_instructions_and_tools_stay_as_they_are(detector: LocalDetector) -> None:
    said = f"{RULES}\n\nThe user is Zanele Khumalo.\n\n{RULES}"
    body = {
        "model": "m", "tools": TOOLS,
        "messages": [{"role": "system", "content": said}, {"role": "user", "content": "Fix the build."}],
    }  # fmt: skip
    content, hidden = await sealed(detector, body)
    assert hidden == {"Zanele Khumalo"}, content


async def test_the_same_in_parts_and_for_developers(detector: LocalDetector) -> None:
    parts = [{"type": "text", "text": text} for text in ("You are an agent.", RULES, "Ask Tomasz Kowalczyk first.")]
    body = {"model": "m", "tools": TOOLS, "messages": [{"role": "developer", "content": parts}]}
    _, hidden = await sealed(detector, body)
    assert hidden == {"Tomasz Kowalczyk"}


async def test_code_and_logs_stay_as_they_are(detector: LocalDetector) -> None:
    for role in ("user", "assistant"):
        content, hidden = await sealed(detector, {"model": "m", "messages": [{"role": role, "content": CODE}]})
        assert hidden == set(), content


def ordered(kind: str, public: bool) -> Terms:
    return Terms(((ORDER, "a"), ("placeholder", "b")), "") if kind == "PERSON" else placeholders_only(kind, public)


async def test_only_people_ask_for_an_order(detector: LocalDetector) -> None:
    """A rule of the agent's or the words of a log sort nothing: the first person met is the first."""
    wish = "Sort the names alphabetically."
    rules = {"role": "system", "content": f"{RULES}\n\n{wish}"}
    names = {"role": "user", "content": "Write to Zanele Khumalo and to Ada Lindqvist."}
    log = {"role": "tool", "tool_call_id": "call_1", "content": wish}
    for asked, expected in (
        ([rules, names, log], "to [PERSON_1] and to [PERSON_2]"),
        ([rules, names, {"role": "user", "content": wish}], "to [PERSON_2] and to [PERSON_1]"),
    ):
        content, _ = await sealed(detector, {"model": "m", "tools": TOOLS, "messages": asked}, ordered)
        assert expected in content


@pytest.mark.parametrize("host", ["db-03.birch.internal", "nas2.local", "ip-10-0-3-4.eu-west-1.compute.internal"])
def test_machines_of_ones_own_network_are_hidden(host: str) -> None:
    for text in (f"db.connect host={host} pool=8", f"  - name: {host}\n", f"http://{host}:8080/x", f"ssh root@{host}"):
        assert [text[s.start : s.end] for s in find_patterns(text) if host in text[s.start : s.end]], text


@pytest.mark.parametrize(
    "text",
    [
        "threading.local()", "vite.config.local.ts", ".env.local", "settings-2.local.json", "com.acme.internal.Foo",
        "host.docker.internal:8080", "metadata.google.internal", "from app.internal import x", "bundle-v2.internal.js",
    ],
)  # fmt: skip
def test_code_that_looks_like_a_host_stays(text: str) -> None:
    assert not list(find_patterns(text))
