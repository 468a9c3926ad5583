"""What people and programs write in another way by habit is found; what only looks so stays; both come back exactly."""

from __future__ import annotations

import base64
import html
import json
import random
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import pytest

from netgpt.privacy.detector import Detector, Finder
from netgpt.privacy.detectors.disguises import views
from netgpt.privacy.vault import Vault

EMAIL, CARD, IBAN, PHONE = "ada.mill@mill.example", "4111111111111111", "GB82WEST12345698765432", "+44 20 7946 0018"
EMPLOYER = "Quorndale Weaving"
VALUES = [("EMPLOYER", EMPLOYER), ("NAME", "Dafydd Prydderch")]
SENTENCES = {
    EMAIL: "write to {} soon", CARD: "my card is {} thanks", IBAN: "IBAN: {} thanks", PHONE: "call me on {} thanks",
    EMPLOYER: "she works at {} now",
}  # fmt: skip
PATTERNS = Finder(names=False)


def base(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def each(form: str) -> Callable[[str], str]:
    return lambda text: "".join(form.format(c, ord(c)) for c in text)


def digits_from(first: int) -> Callable[[str], str]:
    return lambda text: "".join(chr(first + int(c)) if c.isdigit() else c for c in text)


def put(mark: str, end: str = "") -> Callable[[str], str]:
    return lambda text: text[:5] + mark + text[5:8] + (end or mark) + text[8:]


WHOLE: Mapping[str, Callable[[str], str]] = {
    "wide": lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    "zero width": "\u200b".join, "word joiner": "\u2060".join, "soft hyphens": put("\u00ad"),
    "bidi": put("\u202a", "\u202c"), "variation": "\U000e0100".join, "enclosed": "\u20dd".join,
    "struck through": lambda text: "".join(c + "\u0336" for c in text), "NUL": put("\0"), "backspace": put("\b"),
    "ANSI": put("\x1b[1m", "\x1b[0m"), "tag": put("<b>", "</b>"), "span": put('<span class="x">', "</span>"),
    "comment": put("<!-- x -->"), "each in a span": each("<span>{0}</span>"), "bold": put("**"), "code": put("`"),
    "struck": put("~~"), "entities": each("&#{1};"), "in hex": each("&#x{1:X};"),
    "no semicolon": each("&#{1:04d} ".strip()),
    "zeros": each("&#{1:09d};"), "entities twice": lambda text: html.escape(each("&#{1};")(text)),
    "percent": each("%{1:02x}"), "percent twice": each("%25{1:02X}"), "percent thrice": each("%2525{1:02X}"),
    "quoted twice": lambda text: quote(quote(text, safe=""), safe=""), "%u": each("%u{1:04x}"), "u": each("\\u{1:04x}"),
    "x": each("\\x{1:02x}"), "octal": each("\\{1:03o}"), "braces": each("\\u{{{1:x}}}"), "U": each("\\U{1:08x}"),
    "CSS": each("\\{1:06x}"), "u twice": each("\\\\u{1:04x}"), "quoted-printable": each("={1:02X}"),
    "base64": base, "base64 twice": lambda text: base(base(text)),
    "base64 in a text": lambda text: base(f"name: {text}\n"),
    "base64url": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "UTF-16": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    "base64 of JSON": lambda text: base(json.dumps({"id": 7, "who": text})),
    "hex": lambda text: text.encode().hex(), "HEX": lambda text: text.encode().hex().upper(),
    "bytes": lambda text: text.encode().hex(" "), "colons": lambda text: text.encode().hex(":"),
    "0x": lambda text: "0x" + text.encode().hex(), "C": lambda text: ", ".join(f"0x{c:02x}" for c in text.encode()),
    "decimal": lambda text: ", ".join(map(str, text.encode())), "bits": each("{1:08b} "),
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "wrapped": lambda text: base64.encodebytes(f"Dear all, in this letter is {text}, and {text}.".encode()).decode(),
    "keycaps": lambda text: "".join(c + "\ufe0f\u20e3" if c.isdigit() else c for c in text),
    "circled": lambda text: text.translate(str.maketrans("0123456789", "⓪①②③④⑤⑥⑦⑧⑨")),
    "in brackets": lambda text: text.translate(str.maketrans("123456789", "⑴⑵⑶⑷⑸⑹⑺⑻⑼")),
    "with stops": lambda text: text.translate(str.maketrans("123456789", "⒈⒉⒊⒋⒌⒍⒎⒏⒐")),
    "raised": lambda text: text.translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")), "Arabic": digits_from(0x660),
    "Persian": digits_from(0x6F0), "Devanagari": digits_from(0x966), "Thai": digits_from(0xE50),
    "Bengali": digits_from(0x9E6),
}  # fmt: skip


@pytest.mark.parametrize("form", WHOLE)
@pytest.mark.parametrize("value", SENTENCES)
def test_a_value_in_another_form_is_found_whole(value: str, form: str) -> None:
    written = WHOLE[form](value)
    text = SENTENCES[value].format(written)
    spans = PATTERNS.find([text], VALUES, None)[0]
    end = text.index(written) + len(written.rstrip().removesuffix("</span>").removesuffix("\x1b[0m"))
    start = text.index(written) + (len("<span>") if form == "each in a span" else 0)
    inside = [i for i in range(start, end) if text[i].isalnum()]
    assert not [text[i] for i in inside if not any(s.start <= i < s.end for s in spans)], spans


@pytest.mark.parametrize(
    "text",
    [
        "ada.mill(at)mill.example", "ada.mill [at] mill.example", "ada.mill (ät) mill.de",
        "ada.mill{at}mill{dot}com", "ada.mill<at>mill.com", "ada.mill|at|mill.com", "ada.mill(a)mill.com",
        "ada punkt mill at mill punkt de", "ada.mill ät mill punkt de", "ada.mill (at) mill (punkt) de",
        "ada.mill arobase mill point fr", "ada.mill (arobase) mill.fr", "ada.mill arroba mill punto es",
        "ada.mill arroba mill ponto com", "ada.mill chiocciola mill punto it", "ada.mill małpa mill kropka pl",
        "ada.mill apenstaartje mill punt nl", "ada.mill собака mill точка ru", "ada.mill アットマーク mill ドット jp",
        "ada.mill-at-mill-dot-com", "ada.mill_at_mill_dot_com", "ada.mill @mill dot com", "ada.mill at gmail",
        "ada.mill@mill。com", "ada.mill@mill｡com", "ada.mill@mill·com", "ada.mill@mill,com", "ada@mill点com",
        "a d a . m i l l @ m i l l . c o m", "ada=2Emill=40mill=2Eexample", "ada\\.mill\\@mill\\.example",
        "ada.mill at mill.com",
    ],
)  # fmt: skip
def test_an_address_in_other_words_is_found(text: str) -> None:
    for sentence in (text, f"Please write to {text} before noon"):
        found = [sentence[s.start : s.end] for s in PATTERNS.find([sentence], (), None)[0] if s.kind == "EMAIL"]
        assert found == [text]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "CARD"), ("4-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1", "CARD"),
        ("card: 4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1", "CARD"),
        ("G B 8 2 W E S T 1 2 3 4 5 6 9 8 7 6 5 4 3 2", "IBAN"), ("call me: 0 2 0 7 9 4 6 0 0 1 8", "PHONE"),
        ("four one one one one one one one one one one one one one one one", "CARD"),
        ("four triple one double one triple one triple one triple one one", "CARD"),
        ("forty-one eleven eleven eleven eleven eleven eleven eleven", "CARD"),
        ("vier eins eins eins eins eins eins eins eins eins eins eins eins eins eins eins", "CARD"),
        ("quatre un un un un un un un un un un un un un un un", "CARD"),
        ("cuatro uno uno uno uno uno uno uno uno uno uno uno uno uno uno uno", "CARD"),
        ("quattro uno uno uno uno uno uno uno uno uno uno uno uno uno uno uno", "CARD"),
        ("mon téléphone est le zéro six douze trente-quatre cinquante-six soixante-dix-huit", "PHONE"),
        ("call zero two zero seven nine four six zero zero one eight", "PHONE"),
        ("meine Nummer ist null eins sieben eins zwei drei vier fünf sechs", "PHONE"),
        ("我的卡号是四一一一一一一一一一一一一一一一", "CARD"),
    ],
)  # fmt: skip
def test_numbers_that_are_told_sign_by_sign_or_in_words(text: str, kind: str) -> None:
    assert kind in {span.kind for span in PATTERNS.find([text], (), None)[0]}


def harmless() -> list[str]:
    chance = random.Random(5)
    return [
        "1. e4 e5 2. Nf3 Nc6 3. Bb5 a6 4. Ba4 Nf6 5. O-O Be7", "a b c d e f g h", "A B C D E F G H I J K L M",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15", "[1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 1, 0]",
        "x**2 + y**2 = z**2, a*b*c, 2**10",
        "5,0,4,1,9,2,1,3,1,4,3,5,3,6,1,7\n2,8,6,9,4,0,9,1,1,2,4,3,2,7,3,8",
        "\n".join(",".join(repr(chance.random()) for _ in range(5)) for _ in range(20)),
        "\n".join(",".join(str(chance.randint(32, 126)) for _ in range(12)) for _ in range(8)),
        "ages: 34, 45, 67, 52, 41, 38, 77, 65, 49, 50", "sha256 " + chance.randbytes(32).hex(),
        "md5 " + chance.randbytes(16).hex(),
        "f(a).b; (a)x.y; int(a)b.c", "We meet at example.com or at docs.python.org.", "config.yaml at nodejs.org",
        "the dot product and the cross product at each point", "print('\\033[1mBold\\033[0m %d%% of %s' % (x, y))",
        "`foo`s and `bar`-like **bo**ld te*x*t", "<p>one<b>two</b>three</p><td>12</td><td>34</td>",
        "width=40px.wide a=20&b=40",
        "std::vector<int> a; x = b[0] & 0xff; // &amp; &lt;tag&gt; %20 \\d{3}\\.\\d+",
        "one two three four five", "un deux trois", "eins zwei Polizei, drei vier Offizier",
        "1 0 1 0 1 1 1 0 0 1 0 1 1 0 1 0",
        "01001000 01100101 01101100 01101100 01101111", "48 65 6c 6c 6f 20 77 6f 72 6c 64",
        "deadbeef cafebabe 0x7fff5fbff8a0",
        "https://x.example/a?q=two+words&page=2", "二〇二四年有一二三",
        "AbstractSingletonProxyFactoryBean src/netgpt/models/http1.py",
        "M N O P Q R", "=?utf-8?Q?hello_world?=", "y = 0.1*x+0.2\\n  z=3", "1.4142135623730951, 3.141592653589793",
    ]  # fmt: skip


@pytest.mark.parametrize("text", harmless())
def test_what_only_looks_so_stays(text: str) -> None:
    assert PATTERNS.find([text], VALUES, None)[0] == []


def test_a_plain_text_has_one_view() -> None:
    assert len(list(views("The price is 12 euros, and 40 of them came on 3 May; see section 4.2 (page 17)."))) == 1


async def sealed(detector: Detector, body: dict[str, Any], vault: Vault, **options: Any) -> dict[str, Any]:
    outbound = await vault.seal({"model": "m", "messages": [], **body}, detector, **options)
    return dict(json.loads(outbound.content))


@pytest.mark.parametrize(
    "form", ["tag", "no semicolon", "percent twice", "base64", "hex", "keycaps", "ANSI", "struck through"]
)
async def test_the_answer_brings_back_what_was_written(detector: Detector, form: str) -> None:
    written = WHOLE[form](EMAIL)
    vault, message = Vault(), {"role": "user", "content": f"write to {written} soon"}
    left = (await sealed(detector, {"messages": [message]}, vault))["messages"][0]["content"]
    assert left.startswith("write to [") and left.endswith("_1] soon")
    assert vault.restorer().text(left) == message["content"]


async def test_a_name_and_a_password_are_found_encoded_elsewhere(detector: Detector) -> None:
    told = "My name is Dafydd Prydderch and the password is strawberry7fields."
    hidden = [
        base("Dafydd Prydderch"),
        base("strawberry7fields"),
        b"Dafydd Prydderch".hex(),
        base("hello Dafydd Prydderch, you"),
    ]
    body = {
        "messages": [
            {"role": "user", "content": told},
            *({"role": "user", "content": f"see {each}"} for each in hidden),
        ]
    }
    left = json.dumps(await sealed(detector, body, Vault()))
    assert not [each for each in (*hidden, "Prydderch", "strawberry") if each in left]


CARD_NUMBER = int(CARD)


@pytest.mark.parametrize(
    "body",
    [
        {"seed": CARD_NUMBER}, {"seed": -CARD_NUMBER}, {"seed": float(CARD_NUMBER)}, {"max_tokens": -CARD_NUMBER},
        {"logit_bias": {CARD: 1}}, {"logit_bias": {"17": -CARD_NUMBER}}, {"temperature": CARD_NUMBER},
        {"metadata": {"n": -CARD_NUMBER}},
        {"unknown": [{"deep": float(CARD_NUMBER)}]}, {"stop_token_ids": [CARD_NUMBER]}, {"top_p": -float(CARD_NUMBER)},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {
            "a": {"const": -CARD_NUMBER}, "b": {"enum": [CARD_NUMBER]}, "c": {"default": CARD_NUMBER},
            "d": {"minimum": CARD_NUMBER},
        }}}}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "call_1", "type": "function", "function": {
            "name": "f", "arguments": json.dumps({"n": -CARD_NUMBER, "m": [float(CARD_NUMBER)]})}}]}]},
        {"messages": [{"role": "user", "content": "call 2079460018"}], "seed": 2079460018, "unknown": 2079460018},
    ],
)  # fmt: skip
async def test_numbers_as_parameters_carry_nothing(detector: Detector, body: dict[str, Any]) -> None:
    left = json.dumps(await sealed(detector, body, Vault()))
    assert CARD not in left and "2079460018" not in left


@pytest.mark.parametrize("seed", [7, -1, 2079460018, 4294967295, 1732850000123, 0.7, 0.4111111111111111, -2.5e-05])
async def test_parameters_that_are_nobodys_stay(detector: Detector, seed: float) -> None:
    assert (await sealed(detector, {"seed": seed, "logit_bias": {"50256": -100}}, Vault()))["seed"] == seed
