"""Values are escaped for the place where they are put back, and only where they must be."""

import ast
import csv
import html
import io
import json
import re
import shlex
import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from netgpt.privacy.addresses import OwnAddresses, state_of
from netgpt.privacy.body import Seen, TextPosition
from netgpt.privacy.restore import Restorer, own_addresses, restore_chunks, stood_in
from netgpt.types import Chunk

NASTY = 'Ada "Ace" O\'Lee & Söhne | 5%\n12 \\ Mill <Road>'
PLAIN = "Zanele Khumalo"
ORIGINALS = {"PERSON_1": NASTY, "PERSON_2": PLAIN, "EMAIL_1": "ada+news@mill.org", "PHONE_1": "+44 20 7946 0018"}


def own() -> OwnAddresses:
    """The caller wrote of these."""
    found = OwnAddresses()
    found.learn("Look at https://mill.org and https://x.org/")
    found.places.add("https://\ufdd0person_2\ufdd1.example")
    return found


RESTORER = Restorer(ORIGINALS, find_own=own)
DOUBLE = json.dumps(NASTY, ensure_ascii=False)
"""The value in the quotes of most languages."""
SINGLE = DOUBLE[1:-1].replace('\\"', '"').replace("'", "\\'")


def fenced(language: str, code: str) -> str:
    """The code of a fence after restoring, with prose around it that has an odd apostrophe."""
    text = RESTORER.text(f"It's here:\n\n```{language}\n{code}\n```\nDon't forget [PERSON_2].")
    assert text.endswith("\n```\nDon't forget Zanele Khumalo.")
    return text.partition(f"```{language}\n")[2].rpartition("\n```\n")[0]


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "[PERSON_1]", "n": 1}',
        '[{"name": "[PERSON_1]"}]',
        '  {\n  "name": "so [PERSON_1]"\n}',
        'Here it is: {"who": {"name": "[PERSON_1]"}} - is that right?',
        'First ["a", "[PERSON_1]"], then {"b": "[PERSON_1]"}.',
    ],
)
def test_json_in_a_text_stays_json(text: str) -> None:
    shown = RESTORER.text(text)
    begins = [i for i, c in enumerate(shown) if c in "[{"]
    values = [json.JSONDecoder().raw_decode(shown[i:])[0] for i in begins]
    assert any(map(_holds, values))


def _holds(value: Any) -> bool:
    if isinstance(value, str):
        return NASTY in value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(map(_holds, inner))


def test_json_within_json_is_escaped_twice() -> None:
    inner = json.dumps({"name": "[PERSON_1]"})
    for form in ("json", ""):
        stream = RESTORER.stream(form)
        whole = stream.feed(json.dumps({"body": inner})) + stream.flush()
        assert json.loads(json.loads(whole)["body"]) == {"name": NASTY}


@pytest.mark.parametrize("language", ["json", "", "JSON"])
def test_json_in_a_fence(language: str) -> None:
    assert json.loads(fenced(language, '{\n  "a": ["[PERSON_1]"]\n}')) == {"a": [NASTY]}


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ('x = "[PERSON_1]"', NASTY),
        ("x = '[PERSON_1]'", NASTY),
        ("# it's\nx = f'[PERSON_1]'", NASTY),
        ('x = """Dear [PERSON_1]"""', f"Dear {NASTY}"),
        ("x = '''[PERSON_1]'''", NASTY),
        ("x = ('it\\'s', \"[PERSON_1]\")[1]", NASTY),
        ("# [PERSON_1]\nx = '[PERSON_2]'", PLAIN),
        ("x = \"https://mill.org/?q=[PERSON_1]\".split('=')[1]", None),
    ],
)
def test_python_stays_python(code: str, shown: str | None) -> None:
    [*_, assignment] = ast.parse(fenced("python", code)).body
    assert isinstance(assignment, ast.Assign)
    value = eval(compile(ast.Expression(assignment.value), "x", "eval"), {})
    assert value == shown if shown is not None else unquote(value) == NASTY


@pytest.mark.parametrize(
    ("language", "code", "shown"),
    [
        ("javascript", "const a = '[PERSON_1]'; // it's", f"const a = '{SINGLE}'; // it's"),
        ("js", "`[PERSON_1]`", NASTY.join("``").replace("\\", "\\\\")),
        ("rust", "fn f<'a>(x: &'a str) { p(\"[PERSON_1]\") }", f"fn f<'a>(x: &'a str) {{ p({DOUBLE}) }}"),
        ("java", "char c = '\"'; String s = \"[PERSON_1]\";", f"char c = '\"'; String s = {DOUBLE};"),
        ("sql", "SELECT '[PERSON_1]'; -- it's", "SELECT '" + NASTY.replace("'", "''") + "'; -- it's"),
        ("latex", r"\name{[PERSON_1]}", r"\name{" + NASTY.replace("&", r"\&").replace("%", r"\%") + "}"),
        ("text", "Dear [PERSON_1], it's \"fine\"", f"Dear {NASTY}, it's \"fine\""),
        ("", "Dear [PERSON_1], it's \"fine\"", f"Dear {NASTY}, it's \"fine\""),
    ],
)  # fmt: skip
def test_code_of_other_languages(language: str, code: str, shown: str) -> None:
    assert fenced(language, code) == shown


@pytest.mark.parametrize("command", ["greet [PERSON_1] now", "greet '[PERSON_1]' now", "greet --name=[PERSON_1] now"])
def test_a_shell_gets_one_word(command: str) -> None:
    words = shlex.split(fenced("bash", command))
    assert words[1].removeprefix("--name=") == NASTY and words[2:] == ["now"]


def test_a_shell_expands_nothing() -> None:
    shown = Restorer({"API_KEY_1": 'a$HOME`id`"b'}).text('```sh\nlogin "[API_KEY_1]"\n```')
    assert shown == '```sh\nlogin "a\\$HOME\\`id\\`\\"b"\n```'


def test_json_in_a_shells_quotes() -> None:
    words = shlex.split(fenced("bash", """curl -d '{"name": "[PERSON_1]"}' https://mill.org/[PERSON_2]"""))
    assert json.loads(words[2]) == {"name": NASTY}
    assert words[3] == "https://mill.org/Zanele%20Khumalo"


@pytest.mark.parametrize("around", ["See {} now", "[here]({})", "<{}>", '<a href="{}">here</a>', "`{}`", "**{}**"])
def test_addresses(around: str) -> None:
    shown = RESTORER.text(around.format("https://mill.org/p/[PERSON_1]/x?who=[PERSON_1]&mail=[EMAIL_1]#y"))
    begin, end = around.split("{}")
    url = shown[len(begin) : len(shown) - len(end)]
    parts = urlsplit(html.unescape(url))
    assert parse_qs(parts.query) == {"who": [NASTY], "mail": ["ada+news@mill.org"]}
    assert unquote(parts.path) == f"/p/{NASTY}/x" or "`" in around


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mailto:[EMAIL_1]", "mailto:ada+news@mill.org"),
        ("[call](tel:[PHONE_1])", "[call](tel:+44%2020%207946%200018)"),
        ("https://[PERSON_2].example/", "https://Zanele Khumalo.example/"),
        ("see https://mill.org: [PERSON_2]", "see https://mill.org: Zanele Khumalo"),
        ("%5BPERSON_2%5D", "Zanele%20Khumalo"),
    ],
)
def test_other_addresses(text: str, shown: str) -> None:
    assert RESTORER.text(text) == shown


def test_markup() -> None:
    whole = '<?xml version="1.0"?>\n<people>\n\n<p name="[PERSON_1]" n=\'[PERSON_1]\'>Dear [PERSON_1]</p></people>'
    for shown in (RESTORER.text(whole), fenced("xml", whole.partition("\n")[2])):
        person = ElementTree.fromstring(shown)[0]
        seen = NASTY.replace("\n", " ")  # a parser gives a blank for a line break in an attribute
        assert (person.text, person.get("name"), person.get("n")) == (f"Dear {NASTY}", seen, seen)
    assert RESTORER.text("<b>[PERSON_1]</b> & [PERSON_1]") == f"<b>{html.escape(NASTY, quote=False)}</b> & {NASTY}"


@pytest.mark.parametrize(
    "text", ["<answer>Dear [PERSON_1]</answer>", "use <your-name> & [PERSON_1]", "a < b [PERSON_1]"]
)
def test_what_only_looks_like_markup_is_prose(text: str) -> None:
    assert RESTORER.text(text) == text.replace("[PERSON_1]", NASTY)


def test_tables() -> None:
    shown = RESTORER.text("| who | n |\n|---|---|\n| [PERSON_1] | 1 |\n\n[PERSON_1] | so\n")
    row, rest = shown.split("\n\n")
    assert row.splitlines()[2].replace(r"\|", "").count("|") == 3 and "<br>" in row
    assert rest == f"{NASTY} | so\n"


@pytest.mark.parametrize("fence", ["```csv\n{}\n```", "{}"])
def test_rows_with_commas(fence: str) -> None:
    text = fence.format('name,mail\n[ADDRESS_1],[EMAIL_1]\n"x [ADDRESS_1]",b')
    address = '12 "Mill" Road,\nHull'
    shown = Restorer({"ADDRESS_1": address, "EMAIL_1": "a@b.c"}).text(text)
    begin, end = fence.split("{}")
    rows = list(csv.reader(io.StringIO(shown[len(begin) : len(shown) - len(end)])))
    assert rows == [["name", "mail"], [address, "a@b.c"], [f"x {address}", "b"]]


def test_yaml() -> None:
    shown = fenced("yaml", "name: [PERSON_1]\nplain: [PERSON_2]\nquoted: \"[PERSON_1]\"\nsingle: '[PERSON_2]'")
    lines = dict(line.split(": ", 1) for line in shown.splitlines())
    assert json.loads(lines["name"]) == json.loads(lines["quoted"]) == NASTY
    assert (lines["plain"], lines["single"]) == (PLAIN, f"'{PLAIN}'")


PROSE = st.sampled_from(
    [
        "It's [PERSON_1]'s house; \"[PERSON_1]\" he said. ", "- [PERSON_1]\n", "# [PERSON_1]\n\n",
        "(see [PERSON_1]) ",
        "a, b,\n[PERSON_1], c\n", "5 < 6 & [PERSON_1] ", "'[PERSON_1]' ", "Note: [PERSON_1]\n", "f(x) = [PERSON_1] ",
        "[a](b) [PERSON_1] ", "x[0] [PERSON_1] ", "{[PERSON_1]} ", "a|b [PERSON_1] ", "> [PERSON_1]\n",
    ]
)  # fmt: skip


@given(pieces=st.lists(PROSE, max_size=6))
@settings(max_examples=200, deadline=None)
def test_prose_gets_the_value_as_it_is(pieces: list[str]) -> None:
    text = "So: " + "".join(pieces)
    assert RESTORER.text(text) == text.replace("[PERSON_1]", NASTY)


@given(text=st.text(max_size=80), value=st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=9))
@settings(max_examples=300, deadline=None)
@example(text="\\0", value="0")
def test_a_value_that_needs_no_escaping_is_never_changed(text: str, value: str) -> None:
    assume(state_of(text + value, OwnAddresses()) is None)  # not in an address: a browser reads "/\\" as "//"
    assume(re.search(r"\]\s*[(:]", text) is None)  # nor where a link leads, which nothing is put into
    assert Restorer({"PERSON_1": value}).text(text + "[PERSON_1]") == text + value


@pytest.mark.parametrize("before", ["](0", "[a](0", "//0", "/\\0", "\\\\0", "https:/\\0"])
def test_what_a_browser_reads_as_a_host_gets_no_value(before: str) -> None:
    assert Restorer({"PERSON_1": "ada"}).text(before + "[PERSON_1]") == before + "[PERSON_1]"


PARTS = st.sampled_from(
    [
        "```python\n", "```json\n", "```sh\n", "```html\n", "```csv\n", "```\n", "\n```\n", '"', "'",
        '"""', "`", "\\",
        "{", '{"a": "', '"}', "[", "]", "<p>", '<a href="', "</p>", "<", ">", "https://x.org/", "?q=", " ", "\n",
        "\n\n", "| ", "](", ")", "# ", "//", "/*", "*/", ",", ": ", "$", "x", "[PERSON_1]", "[PERSON_2]",
        "%5BPERSON_1%5D",
        "[PERSON", "_1]", "a,b\n", "|---|\n", "<script>", "</script>", "<!--", "-->",
    ]
)  # fmt: skip


@given(parts=st.lists(PARTS, max_size=14), form=st.sampled_from(["", "json", "json?"]), data=st.data())
@settings(max_examples=400, deadline=None)
def test_streamed_at_any_cuts_equals_whole(parts: list[str], form: str, data: st.DataObject) -> None:
    text = "".join(parts)
    stream = RESTORER.stream(form)
    whole = stream.feed(text) + stream.flush()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    for places in (cuts, range(len(text))):
        stream, given_out, last = RESTORER.stream(form), "", 0
        for place in [*places, len(text)]:
            given_out += stream.feed(text[last:place])
            last = place
        assert given_out + stream.flush() == whole


def said_in(texts: list[str]) -> OwnAddresses:
    """What a request of these masked texts says of addresses."""
    body = {"messages": [{"role": "user", "content": text} for text in texts]}
    return own_addresses([body], [Seen(text, TextPosition.PROSE) for text in texts], ORIGINALS)


@given(parts=st.lists(PARTS | st.text(max_size=3), max_size=14))
@settings(max_examples=300, deadline=None)
def test_an_echo_of_the_callers_own_text_is_as_he_wrote_it(parts: list[str]) -> None:
    """He may have the value unescaped where it should be escaped, or escaped already."""
    text = "".join(parts)
    if any(escaped in text for escaped in ("%5B", "%3C")):
        return
    shown = Restorer(ORIGINALS, stood_in([text], ORIGINALS), find_own=lambda: said_in([text])).text(text)
    assert shown == text.replace("[PERSON_1]", NASTY).replace("[PERSON_2]", PLAIN)


def test_a_long_text_is_read_in_bounded_steps() -> None:
    text = "```python\n" + "x = 1\n" * 60_000 + 'y = "[PERSON_1]"\n```'
    whole = RESTORER.text(text)
    stream = RESTORER.stream()
    pieces = [stream.feed(text[at : at + 7_001]) for at in range(0, len(text), 7_001)]
    assert "".join(pieces) + stream.flush() == whole
    assert json.dumps(NASTY, ensure_ascii=False) in whole


@pytest.mark.parametrize("json_content", [True, False])
async def test_an_answer_in_json_or_in_a_fence(json_content: bool) -> None:
    class One:
        def restorer(self) -> Restorer:
            return RESTORER

    async def chunks(text: str) -> AsyncIterator[Chunk]:
        for at in range(0, len(text), 3):
            delta = {"content": text[at : at + 3]}
            chunk: Chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
            yield chunk

    for text in ('{"name": "[PERSON_1]"}', '```json\n{"name": "[PERSON_1]"}\n```'):
        given_out = [c async for c in restore_chunks(One(), chunks(text), json_content=json_content)]
        answer = "".join(c["choices"][0]["delta"].get("content", "") for c in given_out)
        assert json.loads(answer.removeprefix("```json").removesuffix("```")) == {"name": NASTY}
