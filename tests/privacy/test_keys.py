"""Keys of objects, names of tools and of properties: searched like values, renamed consistently, never made one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from netgpt.errors import NotDisclosable
from netgpt.privacy.body import BodyVisitor, Seen
from netgpt.privacy.detector import Detector
from netgpt.privacy.identities import FoundBefore, is_ordinary, names_in, spoken
from netgpt.privacy.vault import Vault
from netgpt.types import Span

NAME, OTHER = "Zanele Khumalo", "Mateo Rossi"


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


async def sealed(detector: Detector, body: dict[str, Any], vault: Vault | None = None, **options: Any) -> Any:
    outbound = await (vault or Vault()).seal({"model": "m", **body}, detector, **options)
    return json.loads(outbound.content)


def calling(arguments: str, name: str = "pay") -> dict[str, Any]:
    call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


PLACES: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "a text that is JSON": lambda key: {"messages": [user(json.dumps({key: 48000}))]},
    "JSON in JSON": lambda key: {"messages": [user(json.dumps({"rows": json.dumps([{key: {"pay": 1}}])}))]},
    "a tool's result": lambda key: {
        "messages": [
            user("go"), calling("{}"), {"role": "tool", "tool_call_id": "call_1", "content": json.dumps({key: [1]})},
        ]
    },
    "a tool's arguments": lambda key: {"messages": [user("go"), calling(json.dumps({"pay": {key: 1}}))]},
    "metadata": lambda key: {"messages": [user("go")], "metadata": {key: "1"}},
    "an unknown field": lambda key: {"messages": [user("go")], "vendor": {"deep": [{key: 1}]}},
    "a property": lambda key: {
        "messages": [user("go")], "tools": [_tool({"type": "object", "properties": {key: {"type": "number"}}})],
    },
    "a definition": lambda key: {
        "messages": [user("go")],
        "tools": [_tool({"type": "object", "$defs": {key: {"type": "number"}}, "items": {"$ref": f"#/$defs/{key}"}})],
    },
    "an answer's form": lambda key: {
        "messages": [user("go")],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "out", "schema": {"type": "object", "properties": {key: {}}, "required": [key]}},
        },
    },
}  # fmt: skip


def _tool(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "pay", "parameters": schema}}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("known", ["found in the key", "found in a text", "known of the person"])
async def test_a_name_does_not_leave_as_a_key(detector: Detector, place: str, known: str) -> None:
    body = PLACES[place](NAME)
    values = [("NAME", NAME)] if known == "known of the person" else []
    if known == "found in a text":
        body["messages"] = [*body["messages"], user(f"My colleague {NAME} called, write to {NAME}.")]
    vault = Vault()
    outbound = await vault.seal({"model": "m", **body}, detector, values=values)
    assert "Khumalo" not in outbound.content.decode() and "[PERSON_1]" in outbound.content.decode()
    assert NAME in vault.restorer().text(outbound.content.decode(), as_json=True)


@pytest.mark.parametrize(
    "form", ["zanele_khumalo", "zaneleKhumalo", "ZANELE_KHUMALO", "pay-zanele-khumalo", "zanele.khumalo"]
)
@pytest.mark.parametrize("place", ["name of a tool", *PLACES])
async def test_nor_in_the_forms_of_identifiers(detector: Detector, place: str, form: str) -> None:
    if place == "name of a tool":
        tool = {"type": "function", "function": {"name": form, "parameters": {"type": "object"}}}
        choice = {"type": "function", "function": {"name": form}}
        body: dict[str, Any] = {"messages": [user("go"), calling("{}", form)], "tools": [tool], "tool_choice": choice}
    else:
        body = PLACES[place](form)
    body["messages"] = [*body["messages"], user(f"My colleague {NAME} called, write to {NAME}.")]
    vault = Vault()
    outbound = await vault.seal({"model": "m", **body}, detector)
    sent = outbound.content.decode()
    assert "khumalo" not in sent.casefold()
    assert form in vault.restorer().text(sent, as_json=True)


async def test_the_name_of_a_tool_stays_an_identifier_and_one_name_everywhere(detector: Detector) -> None:
    name = "email_zanele_khumalo"
    tool = {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
    body = {
        "messages": [
            user("go"), calling("{}", name), {"role": "tool", "name": name, "tool_call_id": "call_1", "content": "ok"},
        ],
        "tools": [tool], "tool_choice": {"type": "function", "function": {"name": name}},
    }  # fmt: skip
    got = await sealed(detector, body)
    told = got["tools"][0]["function"]["name"]
    assert told == "email_PERSON_1" == got["tool_choice"]["function"]["name"] == got["messages"][2]["name"]
    assert told == got["messages"][1]["tool_calls"][0]["function"]["name"]


async def test_properties_required_references_and_arguments_agree(detector: Detector) -> None:
    schema = {
        "type": "object",
        "properties": {NAME: {"$ref": f"#/$defs/{OTHER}"}, "amount": {"type": "number"}},
        "required": [NAME, "amount"], "dependentRequired": {NAME: ["amount"]}, "additionalProperties": False,
        "$defs": {OTHER: {"type": "string", "enum": [OTHER, "nobody"]}},
    }  # fmt: skip
    body = {"messages": [user("go"), calling(json.dumps({NAME: OTHER, "amount": 3}))], "tools": [_tool(schema)]}
    vault = Vault()
    got = await sealed(detector, body, vault)
    told = got["tools"][0]["function"]["parameters"]
    (person, _), (other,) = told["properties"], told["$defs"]
    assert told["required"] == [person, "amount"] and told["dependentRequired"] == {person: ["amount"]}
    assert told["properties"][person] == {"$ref": f"#/$defs/{other}"} and told["$defs"][other]["enum"] == [
        other,
        "nobody",
    ]
    assert json.loads(got["messages"][1]["tool_calls"][0]["function"]["arguments"]) == {person: other, "amount": 3}
    assert json.loads(vault.restorer().text(json.dumps(told), as_json=True)) == schema


ORDINARY = (
    "customer_name", "customerName", "unitPrice", "Order Total", "Total Revenue", "created_at", "isActive",
    "max_tokens", "Content-Type", "X-Request-Id", "User Agent", "Grant Access", "mark_done", "get_weather",
    "search_web", "sendEmail", "github_list_repos", "slack_post_message", "mcp__filesystem__read_file", "Zip Code",
    "Street Address", "Key Findings", "Budget Owner", "error_message", "num_beams", "q1_2024", "HTTPStatus",
    "row_count", "April", "daisy_chain", "bill_amount",
)  # fmt: skip


async def test_ordinary_names_of_fields_stay(detector: Detector) -> None:
    record = {name: number for number, name in enumerate(ORDINARY)}
    text = f"{NAME} has rose, may and grant here. " + json.dumps(record)
    body: dict[str, Any] = {
        "messages": [user(json.dumps(record)), user(text), calling(json.dumps(record))],
        "tools": [_tool({"type": "object", "properties": {name: {"type": "string"} for name in ORDINARY}})],
        "metadata": dict.fromkeys(ORDINARY, "1"),
    }
    got = await sealed(detector, body)
    assert list(json.loads(got["messages"][0]["content"])) == list(ORDINARY)
    assert got["messages"][2] == body["messages"][2] and got["tools"] == body["tools"]
    assert list(got["metadata"]) == list(ORDINARY)


async def test_keys_that_would_become_one_stay_two(detector: Detector) -> None:
    for keys in (
        ["ada@mill.org", "ADA@mill.org", "[EMAIL_1]", "EMAIL_1", "EMAIL_2"],
        [NAME, NAME.upper(), "[PERSON_1]", "PERSON_1", "zanele_khumalo"],
        ["+44 20 7946 0018", "+442079460018"],
    ):
        vault = Vault()
        text = json.dumps({key: number for number, key in enumerate(keys)})
        got = (await sealed(detector, {"messages": [user(text)]}, vault))["messages"][0]["content"]
        assert len(json.loads(got)) == len(keys)
        assert json.loads(vault.restorer().text(got, as_json=True)) == json.loads(text)


def test_two_keys_that_become_one_stop_the_request() -> None:
    def see(item: Seen) -> str:
        return "[PERSON_1]" if item.text in ("Ada", "Bob") else item.text

    with pytest.raises(NotDisclosable, match="names of fields are one"):
        BodyVisitor(see).body({"messages": [], "metadata": {"Ada": "1", "Bob": "2"}})


async def test_an_announced_value_is_found_again_without_its_words(detector: Detector) -> None:
    texts = ["my password is hunter2xyz9, keep it", "so hunter2xyz9 it is", '{"hunter2xyz9": true}']
    got = await sealed(detector, {"messages": [user(text) for text in texts], "stop": ["hunter2xyz9"]})
    said = [message["content"] for message in got["messages"]]
    assert not [text for text in said if "hunter2xyz9" in text] and said[0].endswith("], keep it")
    assert list(json.loads(said[2])) == [said[1].removeprefix("so [").removesuffix("] it is")]
    assert got["stop"][0] in said[0]


@pytest.mark.parametrize("label", ["customer_name", "姓名", "氏名", "이름", "имя", "اسم", "שם", "नाम", "όνομα", "ชื่อ"])
@pytest.mark.parametrize(
    "name", ["王小明", "田中 花子", "김민준", "Иван Петров", "محمد الأحمد", "רות כהן", "राजेश कुमार", "สมชาย ใจดี"]
)
async def test_names_in_any_script_in_a_field_for_names(detector: Detector, label: str, name: str) -> None:
    record = {label: name, "status": "ok"}
    got = await sealed(detector, {"messages": [user(json.dumps(record, ensure_ascii=False)), user(f"{name}: {name}")]})
    assert name not in json.dumps(got, ensure_ascii=False)


async def test_what_is_called_name_in_another_script_need_not_be_a_person(detector: Detector) -> None:
    text = json.dumps([{"name": "苹果", "price": 3}, {"name": "北京", "size": 5}], ensure_ascii=False)
    assert (await sealed(detector, {"messages": [user(text)]}))["messages"][0]["content"] == text


def test_an_identifier_is_read_as_words() -> None:
    assert spoken("email_zaneleKhumalo")[0] == "Email Zanele Khumalo"
    (found,) = names_in("pay_zanele_khumalo_salary", [Span(0, 25, "PERSON", "names")])
    assert (found.start, found.end) == (4, 18)
    assert names_in("max_tokens", [Span(0, 10, "PERSON", "names")]) == []
    assert is_ordinary("maxTokens") and not is_ordinary("zanele_salary")


def test_many_found_values_are_looked_for_in_one_pass() -> None:
    before = FoundBefore()
    for number in range(100_000):
        before.add("PHONE", f"+44 20 7946 {number:06d}", "pattern:phone")
        before.add("PERSON", f"Zan{number} Khumalo", "names")
    text = "call +44 20 7946 000017 now, " * 2_000
    assert len(before.in_text(text)) == 2_000
    assert before.in_identifier("pay_khumalo") == []
