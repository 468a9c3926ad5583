"""Restoring is exact: what was masked and echoed comes back character for character, whatever stands beside it.

And what a model bends beyond certainty stays as it came, and is counted.
"""

import json
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netgpt.privacy.detector import Finder
from netgpt.privacy.restore import Account, Restorer, restore_chunks
from netgpt.privacy.vault import Vault
from netgpt.types import Chunk, Span

EXACT = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
VALUES = [
    ("DIET", "vegan"),
    ("PET", "Zoë the cat"),
    ("CITY", "القاهرة"),
    ("NICKNAME", "Nguye\u0302\u0303n"),
    ("X", "7"),
]
PRIVATE = [
    "ada@mill.org", "ADA@Mill.org", "ada@mill.org.uk", "+44 20 7946 0018", "+442079460018", "4111 1111 1111 1111",
    "4111111111111111", "GB82 WEST 1234 5698 7654 32", "GB82WEST12345698765432", "12 Mill Road, Cambridge", "vegan",
    "Vegan", "VEGAN", "Zoë the cat", "Zoe\u0308 the cat", "القاهرة", "בן-גוריון 5", "Nguye\u0302\u0303n", "Nguyễn",
    "https://u:p@mill.org/?mail=ada@mill.org", "My name is Zoë Ada", "10.1.2.3", "password: h4nter2!", "12345678Z",
]  # fmt: skip
"""Nested in one another, in several spellings, from right to left, with marks that combine."""
OWN = [
    "[EMAIL_1]", "EMAIL_1", "[EMAIL_1b]", "[Phone 1]", "［DIET_1］", "【PERSON_1】", "[PERSONNE_1]", "[PERSON_1's]",
    "<DIET_2>", "[LITERAL_1]", "\\[CARD_1\\]", "PERSON 1", "[DATE_1]", "[Adresse 1]",
]  # fmt: skip
"""What looks like a placeholder in the person's own text."""
AROUND = [
    "",
    " ",
    ", ",
    "\n",
    "\u200b",
    "\u200f",
    "\u202e",
    "(",
    ")",
    "'",
    '"',
    "\\",
    "`",
    "**",
    "-",
    "\u0301",
    "x",
    "é",
]
PIECES = st.sampled_from([*PRIVATE, *OWN]) | st.sampled_from(AROUND) | st.text(max_size=4)


class NoNames:
    """A detector of patterns and profile values, in this process."""

    def __init__(self) -> None:
        self._finder = Finder(names=False)

    async def start(self) -> None: ...

    async def detect(
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[int] | None = None
    ) -> list[list[Span]]:
        return self._finder.find(list(texts), values, names)

    def health(self) -> tuple[bool, str]:
        return True, "ready"

    async def close(self) -> None: ...


DETECTOR = NoNames()


def joined(pieces: Sequence[str]) -> str:
    text = "so: " + "".join(pieces)  # a text that is JSON is opened, and may come back in another layout
    return text.encode("utf-8", "ignore").decode()


async def masked(vault: Vault, texts: Sequence[str]) -> list[str]:
    body = {"model": "m", "messages": [{"role": "user", "content": text} for text in texts]}
    outbound = await vault.seal(body, DETECTOR, values=VALUES)
    return [message["content"] for message in json.loads(outbound.content)["messages"]]


@pytest.mark.slow
@given(pieces=st.lists(PIECES, max_size=9))
@EXACT
async def test_an_echo_is_the_original(pieces: list[str]) -> None:
    vault = Vault()
    text = joined(pieces)
    [echo] = await masked(vault, [text])
    assert vault.restorer().text(echo) == text


@pytest.mark.slow
@given(turns=st.lists(st.lists(PIECES, max_size=4), min_size=50, max_size=50))
@settings(parent=EXACT, max_examples=5)
async def test_fifty_turns_come_back_each_as_it_was(turns: list[list[str]]) -> None:
    state: bytes | None = None
    texts: list[str] = []
    for number, pieces in enumerate(turns):
        texts.append(joined(pieces))
        if number % 7 and number != 49:
            continue
        vault = Vault(state)
        echoes = await masked(vault, texts)
        assert [vault.restorer().text(echo) for echo in echoes] == texts
        state = vault.dump()


ORIGINALS = {
    "PERSON_1": "Ada [PERSON_2] Lovelace",
    "PERSON_1b": "ADA",
    "PERSON_12": "عمر",
    "EMAIL_2": "ada@mill.org",
    "ADDRESS_1": '12 "Mill" \\ Road',
    "API_KEY_3": "k-1",
}
CERTAIN = [
    "[{0}]", "{0}", "[{l}]", "<{0}>", "[ {0} ]", "[**{0}**]", "\\[{0}\\]", "［{0}］", "【{0}】", "〔{0}〕", "＜{0}＞",
    "`{0}`", "«{0}»", "「{0}」", "({0})", "[{s}]",
]  # fmt: skip
KEPT_AROUND = {"`{0}`": "`{}`", "«{0}»": "«{}»", "「{0}」": "「{}」", "({0})": "({})"}


@pytest.mark.parametrize("form", CERTAIN)
@pytest.mark.parametrize("name", ORIGINALS)
def test_what_is_certain_is_put_back(form: str, name: str) -> None:
    written = form.format(name, l=name.lower(), s=name.replace("_", " "))
    account = Account()
    stream = Restorer(ORIGINALS).stream(account=account)
    given_out = stream.feed(f"so {written}, yes") + stream.flush()
    assert given_out == f"so {KEPT_AROUND.get(form, '{}').format(ORIGINALS[name])}, yes"
    assert (account.restored, account.unresolved) == (1, 0)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("[PERSON_1]'s house", "Ada [PERSON_2] Lovelace's house"),
        ("[PERSON_1's] house", "Ada [PERSON_2] Lovelace's house"),
        ("PERSON_1's house", "Ada [PERSON_2] Lovelace's house"),
        ("[PERSON_1s] Haus", "Ada [PERSON_2] Lovelaces Haus"),
        ("[PERSON_1]s Haus", "Ada [PERSON_2] Lovelaces Haus"),
        ("[PERSONNE_1]", "Ada [PERSON_2] Lovelace"),
        ("[Adresse 1]", '12 "Mill" \\ Road'),
        ("[DIRECCIÓN_1]", '12 "Mill" \\ Road'),
        ("[e-mail_2]", "ada@mill.org"),
        ("[person＿1]", "Ada [PERSON_2] Lovelace"),
        ("[PERSON_１]", "Ada [PERSON_2] Lovelace"),
    ],
)
def test_what_is_bent_and_still_certain(written: str, shown: str) -> None:
    account = Account()
    stream = Restorer(ORIGINALS).stream(account=account)
    assert stream.feed(written) + stream.flush() == shown
    assert (account.restored, account.unresolved) == (1, 0)


BENT = [
    "[PERSON1]", "[PERSON 1]", "[PERSON-1]", "[PERSON #1]", "[PERSON:1]", "[Person-1]", "%5BPERSON_1%5D",
    "%3cPERSON%5F1%3e",
    "&#91;PERSON_1&#93;", "&#x5B;PERSON_1&#x5D;", "&lt;PERSON_1&gt;", "［ＰＥＲＳＯＮ＿１］", "[ＰＥＲＳＯＮ_1]",
    "[PER\u200bSON\u200b_1]", "[PERSON_1\ufeff]", "[\u200bPERSON_1]", "{{PERSON_1}}", "{{ PERSON_1 }}", "<PERSON_1>",
    "\\[PERSON\\_1\\]", "\\u005bPERSON_1\\u005d", "[PERSONS_1]", "[PERSON_01]", "[PERSON_١]",
    "[PERSONNE_1]", "[PERSONA_1]", "[persoon_1]", "[PESSOA_1]", "[OSOBA_1]", "[SZEMÉLY_1]", "[HENKILÖ_1]", "[KİŞİ_1]",
    "[Πρόσωπο_1]", "[ЧЕЛОВЕК_1]", "[ОСОБА_1]", "[ИМЯ_1]", "[人物_1]", "[姓名_1]", "[名前_1]", "[人物1]", "[인물_1]",
    "[이름_1]",
    "[شخص_1]", "[שם_1]", "[व्यक्ति_1]", "[บุคคล_1]", "[NGƯỜI_1]", "[ORANG_1]", "[NOM_1]", "[nombre_1]",
]  # fmt: skip


@pytest.mark.parametrize("written", BENT)
def test_a_bent_placeholder_comes_back(written: str) -> None:
    account = Account()
    stream = Restorer({"PERSON_1": "Ada"}).stream(account=account)
    given_out = "".join(stream.feed(character) for character in f"so {written}, yes") + stream.flush()
    assert given_out == "so Ada, yes"
    assert (account.restored, account.unresolved) == (1, 0)
    assert Restorer({"PERSON_1": "Ada"}).text(f"人{written}人") == "人Ada人"


@pytest.mark.parametrize(
    "written",
    ["person[1]", "[Figure 1]", "[Table 1]", "rows[person_1]", "rows[person1]", "f()[person_1]",
     "person_1 = 5", "Person_1",
     "[person1]", "<person1>", "[Nom 1]", "[NAME 1]", "(person 1)", "{person_1}", "map[PERSON1]", "[1]", "[PERSON]"],
)  # fmt: skip
def test_what_may_be_the_models_own_stays(written: str) -> None:
    assert Restorer({"PERSON_1": "Ada"}).text(f"so {written}, yes") == f"so {written}, yes"


@pytest.mark.parametrize("written", BENT)
async def test_the_callers_own_text_in_that_form_comes_back_as_it_was(written: str) -> None:
    vault = Vault()
    text = f"ada@mill.org wrote {written} there"
    [echo] = await masked(vault, [text])
    assert written not in echo
    assert vault.restorer().text(echo) == text


DOUBTFUL = [
    "PERSON 1", "PERSON_1x", "[PERSON_3]", "[PERSON_1c]", "[PERSON_123]", "[PERSONNE_9]", "[ПЕРСОНА_2]", "[NAME_1]",
    "[EMAIL_1]", "[ＰＥＲＳＯＮ＿２]", "{PERSON_7}", "[PHONE_1]", "[人物_2]",
]  # fmt: skip
HARMLESS = [
    "Person 1",
    "[1]",
    "[Figure 2]",
    "(see 3)",
    "x[0]",
    "<h1>",
    "[a1]",
    "[2024-05-01]",
    "f(x_1)",
    "v1.2",
    "{n_1}",
]


@pytest.mark.parametrize("written", DOUBTFUL)
def test_what_is_not_certain_stays_and_is_counted(written: str) -> None:
    for place in ("{}", "so {}, yes", "{} and [PERSON_1]", "[PERSON_1]{}"):
        text, account = place.format(written), Account()
        stream = Restorer(ORIGINALS).stream(account=account)
        given_out = "".join(stream.feed(character) for character in text) + stream.flush()
        assert given_out == text.replace("[PERSON_1]", ORIGINALS["PERSON_1"])
        assert account.unresolved == 1, text


@pytest.mark.parametrize("written", HARMLESS)
def test_what_is_no_placeholder_is_not_counted(written: str) -> None:
    account = Account()
    stream = Restorer(ORIGINALS).stream(account=account)
    assert stream.feed(f"so {written}, yes") + stream.flush() == f"so {written}, yes"
    assert account == Account()


WRITTEN = st.sampled_from(
    [form.format("PERSON_1", l="person_1", s="PERSON 1") for form in CERTAIN] + DOUBTFUL + HARMLESS
)


@given(pieces=st.lists(WRITTEN | st.text(max_size=5), max_size=8), data=st.data())
@settings(max_examples=200, deadline=None)
def test_the_account_does_not_depend_on_the_cuts(pieces: list[str], data: st.DataObject) -> None:
    text = " ".join(pieces)
    accounts = []
    for places in ([], sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6))), list(range(len(text)))):
        account, last, given_out = Account(), 0, ""
        stream = Restorer(ORIGINALS).stream(account=account)
        for place in [*places, len(text)]:
            given_out += stream.feed(text[last:place])
            last = place
        assert given_out + stream.flush() == Restorer(ORIGINALS).text(text)
        accounts.append(account)
    assert accounts[0] == accounts[1] == accounts[2]


@given(pieces=st.lists(st.sampled_from([*DOUBTFUL, "[EMAIL_2]", "[PERSON_12]"]), max_size=6))
def test_another_conversations_placeholders_get_nothing(pieces: list[str]) -> None:
    text = " ".join(pieces)
    shown = Restorer({"CARD_1": "4111"}).text(text)
    assert shown == text


async def test_the_account_of_a_whole_answer() -> None:
    async def chunks() -> AsyncIterator[Chunk]:
        for content in ("Dear [PER", "SON_1], or [PERSON_4", "]; PERSON", " 1?"):
            chunk: Chunk = {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": None}]}
            yield chunk

    class One:
        def restorer(self) -> Restorer:
            return Restorer(ORIGINALS)

    account = Account()
    async for _ in restore_chunks(One(), chunks(), account=account):
        pass
    assert (account.restored, account.unresolved) == (1, 2)
