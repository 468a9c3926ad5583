"""The table of the wire: what has the form of an identifier passes byte for byte, and nothing else does."""

from __future__ import annotations

import base64
import copy
import json
import random
from typing import Any

import pytest
from agents import FORMS, Ids

from netgpt.privacy.body import TextPosition, is_blob, position_of, wire
from netgpt.privacy.detector import Detector
from netgpt.privacy.vault import Vault

SIGNATURE = Ids(1).signature()
CALL = Ids(1).call("OpenAI")
ADA = "Ingrid Lindqvist"


async def sealed(detector: Detector, body: dict[str, Any], vault: Vault | None = None, **options: Any) -> Any:
    outbound = await (vault or Vault()).seal({"model": "m", **body}, detector, **options)
    return json.loads(outbound.content)


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


@pytest.mark.parametrize("server", FORMS)
def test_every_servers_ids_pass(server: str) -> None:
    ids = Ids(7)
    made = [ids.call(server) for _ in range(500)]
    kinds = [position_of("id", one) for one in made]
    assert set(kinds) <= {TextPosition.ID, TextPosition.LOOSE_ID}
    if server not in ("counted", "Ollama", "Mistral"):  # too short to tell from a name: searched by pattern alone
        assert kinds.count(TextPosition.ID) > 0.9 * len(made)


@pytest.mark.parametrize("server", FORMS)
async def test_every_servers_ids_come_through_a_sealing(detector: Detector, server: str) -> None:
    ids = Ids(11)
    calls = [
        {"id": ids.call(server), "type": "function", "function": {"name": "read_file", "arguments": "{}"}}
        for _ in range(60)
    ]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "ok"} for call in calls]
    body = {"messages": [user("go on"), {"role": "assistant", "content": None, "tool_calls": calls}, *results]}
    assert (await sealed(detector, body))["messages"] == body["messages"]


def test_a_signature_may_be_an_id_and_a_key_may_not() -> None:
    signature = base64.b64encode(random.Random(3).randbytes(90)).decode()
    assert position_of("id", signature) is TextPosition.BLOB
    key = "MIIE" + signature.replace("=", "")
    assert [position_of("id", each) for each in (key, signature[:80])].count(TextPosition.BLOB) == 0


@pytest.mark.parametrize("id", ["call_1732876543", "call_447911123456", "tool_call_20241129_1", "123456789"])
async def test_a_counted_id_is_nobodys_number(detector: Detector, id: str) -> None:
    call = {"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = {"messages": [user("go"), {"role": "assistant", "content": None, "tool_calls": [call]},
                         {"role": "tool", "tool_call_id": id, "content": "ok"}]}  # fmt: skip
    assert (await sealed(detector, body))["messages"] == body["messages"]


@pytest.mark.parametrize(
    "text",
    [
        "ada@mill.org", "call for Ada", "sk-proj-Ab12Cd34Ef56Gh78Ij90Kl", "call_AKIAIOSFODNN7EXAMPLE", ADA,
        "ghp_Ab12Cd34Ef56Gh78Ij90Kl12Mn34Op56Qr78", "call_sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        "4111 1111 1111 1111", "GB82WEST12345698765432", "q7Rb/XkT2+vNp8Ls5Gd1Hc4Jm9Wz6Yf3Ut0Ea/Qi",
    ],
)  # fmt: skip
async def test_what_is_no_id_does_not_pass_as_one(detector: Detector, text: str) -> None:
    call = {"id": text, "type": "function", "function": {"name": "read_file", "arguments": "{}"}}
    vault = Vault()
    body = {"messages": [user("go"), {"role": "assistant", "tool_calls": [call]}, _result(text)]}
    got = (await sealed(detector, body, vault))["messages"]
    told = got[1]["tool_calls"][0]["id"]
    assert told == got[2]["tool_call_id"] and text.removeprefix("call_") not in told
    assert vault.restorer().text(told) == text


def _result(number: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": number, "content": "ok"}


async def test_a_private_value_inside_an_id_is_hidden_and_a_short_one_is_not_looked_for(detector: Detector) -> None:
    ids = ["toolu_01A09q90qw90lq917835bob", "order_gluten-free_7"]
    messages = [user("go"), *map(_result, ids)]
    got = await sealed(detector, {"messages": messages}, values=[("PET", "bob"), ("DIET", "gluten-free")])
    assert got["messages"][1]["tool_call_id"] == ids[0]
    assert got["messages"][2]["tool_call_id"] == "order_DIET_1_7"


@pytest.mark.parametrize(
    "data", [b"Ada Lovelace, 12 Mill Road, London", "Привет, я Иван Петров".encode(), b"\x89PNG" + bytes(90)]
)
def test_what_can_be_read_is_no_signature(data: bytes) -> None:
    assert not is_blob(base64.b64encode(data).decode())


@pytest.mark.parametrize(
    "text", ["AdaLovelaceLivesInTheOldMill", "Ada-Lovelace_1815-12-10_London", "x" * 40, "Ada Lovelace"]
)
def test_words_are_no_signature(text: str) -> None:
    assert not is_blob(text)


def test_random_bytes_are_one_at_every_length() -> None:
    chance = random.Random(3)
    assert all(is_blob(base64.b64encode(chance.randbytes(size)).decode()) for size in range(24, 1500, 7))


async def test_a_key_in_place_of_a_signature_is_hidden(detector: Detector) -> None:
    detail = {"type": "reasoning.text", "text": "hm", "signature": "ghp_Ab12Cd34Ef56Gh78Ij90Kl12Mn34Op56Qr78"}
    got = await sealed(detector, {"messages": [{"role": "assistant", "content": "x", "reasoning_details": [detail]}]})
    assert got["messages"][0]["reasoning_details"][0]["signature"] == "API_KEY_1"


OPENAI = {
    "messages": [user("hi")],
    "logit_bias": {"50256": -100, "1234567": 5},
    "service_tier": "flex",
    "reasoning_effort": "xhigh",
    "verbosity": "low",
    "modalities": ["text"],
    "parallel_tool_calls": False,
    "response_format": {"type": "json_object"},
    "tool_choice": {"type": "function", "function": {"name": "read_file"}},
    "stream_options": {"include_usage": True},
    "prompt_cache_retention": "24h",
    "stop": ["\nObservation:", "</s>"],
}
RESPONSES = {
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {
            "type": "reasoning",
            "id": "rs_67ccd2bed1ec8190b14f964abc054267",
            "summary": [],
            "encrypted_content": SIGNATURE,
        },
        {
            "type": "function_call",
            "id": "fc_67ccd2bed1ec8190b14f964abc0542",
            "call_id": CALL,
            "name": "read_file",
            "arguments": "{}",
        },
        {"type": "function_call_output", "call_id": CALL, "output": "ok"},
    ],
    "include": ["reasoning.encrypted_content"],
    "reasoning": {"effort": "high", "summary": "auto"},
    "text": {"verbosity": "low", "format": {"type": "text"}},
    "previous_response_id": "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b",
    "truncation": "auto",
    "store": False,
}
ANTHROPIC = {
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    "messages": [
        user([{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]),
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "I read the file.", "signature": SIGNATURE},
                {"type": "redacted_thinking", "data": SIGNATURE},
                {
                    "type": "tool_use",
                    "id": "toolu_01A09q90qw90lq917835lq9",
                    "name": "read_file",
                    "input": {"limit": 5},
                },
            ],
        },
        user(
            [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_01A09q90qw90lq917835lq9",
                    "content": [{"type": "text", "text": "ok"}],
                }
            ]
        ),
    ],
    "thinking": {"type": "enabled", "budget_tokens": 16000},
    "tools": [
        {
            "name": "read_file",
            "description": "Reads a file.",
            "input_schema": {"type": "object"},
            "cache_control": {"type": "ephemeral"},
        }
    ],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "stop_sequences": ["END"],
    "betas": ["interleaved-thinking-2025-05-14"],
}
ENCRYPTED = {
    "type": "reasoning.encrypted", "data": SIGNATURE, "id": "rs_0a1b2c3d4e5f6071", "format": "openai-responses-v1",
    "index": 0,
}  # fmt: skip
OPENROUTER = {
    "messages": [user("hi"), {"role": "assistant", "content": "x", "reasoning_details": [ENCRYPTED]}],
    "provider": {
        "order": ["Anthropic", "Amazon Bedrock", "together", "deepinfra/turbo"],
        "only": ["azure"], "ignore": ["Google AI Studio"], "data_collection": "deny", "zdr": True, "sort": "throughput",
        "quantizations": ["fp8", "bf16"], "max_price": {"prompt": 1, "completion": 2}, "allow_fallbacks": False,
    },
    "models": ["anthropic/claude-3.5-sonnet:beta", "openai/gpt-4o-mini"],
    "route": "fallback",
    "transforms": ["middle-out"],
    "plugins": [{"id": "web", "max_results": 3}],
    "reasoning": {"effort": "high", "exclude": False},
    "usage": {"include": True},
}  # fmt: skip
VLLM = {
    "messages": [user("hi")],
    "guided_json": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "chat_template_kwargs": {"enable_thinking": False},
    "stop_token_ids": [128001, 128009],
    "top_k": 20, "min_p": 0.1, "repetition_penalty": 1.05, "min_tokens": 4,
    "include_stop_str_in_output": True, "skip_special_tokens": False, "ignore_eos": False,
}  # fmt: skip
GEMINI = {
    "messages": [user("hi"), {"role": "assistant", "content": None, "tool_calls": [{
        "id": "function-call-16137443443434434322", "type": "function",
        "function": {"name": "read_file", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": SIGNATURE}}}]}],
    "extra_body": {"google": {
        "thinking_config": {"thinking_budget": 800, "include_thoughts": True, "thinking_level": "low"},
        "cached_content": "cachedContents/0000aaaabbbbcccc1111",
        "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]}},
}  # fmt: skip

OTHERS = {
    "messages": [user("hi"), {
        "role": "assistant", "content": None,
        "thinking_signature": SIGNATURE, "thought_signatures": [SIGNATURE], "reasoning_opaque": SIGNATURE,
        "redacted_reasoning": SIGNATURE, "encrypted_content": SIGNATURE,
        "reasoning_items": [{"type": "reasoning", "encrypted_content": SIGNATURE}],
        "tool_calls": [{
            "id": "call_0000aaaabbbbcccc11112222", "type": "function", "function": {"name": "f", "arguments": "{}"},
            "thoughtSignature": SIGNATURE, "providerMetadata": {"google": {"thoughtSignature": SIGNATURE}},
            "provider_options": {"vertex": {"thoughtSignature": SIGNATURE}}, "thought_sig": SIGNATURE,
            "provider_specific_fields": {"thought_signatures": [SIGNATURE]},
        }],
    }],
    "lora_adapter": "sql-lora", "lora_adapter_name": "sql-lora", "lora_path": "sql-lora", "mirostat_tau": 5.0,
    "guided_decoding_backend": "outlines", "num_ctx": 8192,
}  # fmt: skip


@pytest.mark.parametrize("body", [OPENAI, RESPONSES, ANTHROPIC, OPENROUTER, VLLM, GEMINI, OTHERS])
async def test_every_wire_passes_byte_for_byte(detector: Detector, body: dict[str, Any]) -> None:
    before = copy.deepcopy(body)
    outbound = await Vault().seal({"model": "m", **body}, detector)
    assert json.loads(outbound.content) == {"model": "m", **before}
    assert outbound.hidden == () and list(json.loads(outbound.content)) == ["model", *body]


@pytest.mark.parametrize("body", [OPENAI, RESPONSES, ANTHROPIC, OPENROUTER, VLLM, GEMINI, OTHERS])
async def test_a_name_in_place_of_any_of_its_words_is_hidden(detector: Detector, body: dict[str, Any]) -> None:
    """Every string of the wire in turn is replaced by prose: none of the fields lets it pass."""
    count = sum(1 for _ in _strings(body))
    for number in range(count):
        changed = _with(copy.deepcopy(body), number, f"My mail is ada@mill.org, said {ADA}")
        try:
            got = json.dumps(await sealed(detector, changed))
        except Exception as error:  # noqa: BLE001 - a media part may keep it on the box
            assert "stay on the box" in str(error)
            continue
        assert "ada@mill.org" not in got and ADA not in got, number


def _strings(value: Any) -> Any:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def _with(value: Any, number: int, text: str) -> Any:
    """The value with its string of this number replaced."""
    left = [number]

    def change(item: Any) -> Any:
        if isinstance(item, str):
            left[0] -= 1
            return text if left[0] == -1 else item
        if isinstance(item, dict):
            return {key: change(one) for key, one in item.items()}
        return [change(one) for one in item] if isinstance(item, list) else item

    return change(value)


async def test_keys_of_the_caller_never_leave(detector: Detector) -> None:
    body = {
        "messages": [user("hi")], "api_key": "abc", "extra_headers": {"x-team": "blue"},
        "mcp_servers": [{"type": "url", "url": "https://mcp.example", "name": "files", "authorization_token": "abc"}],
        "tools": [{"type": "mcp", "server_label": "files", "headers": {"Authorization": "Bearer abc"}}],
    }  # fmt: skip
    got = await sealed(detector, body)
    assert "abc" not in json.dumps(got) and "blue" not in json.dumps(got)
    assert got["tools"] == [{"type": "mcp", "server_label": "files"}]


async def test_stop_sequences_follow_the_hidden_text(detector: Detector) -> None:
    got = await sealed(detector, {"messages": [user(f"{ADA} met Grace Hopper")], "stop": [f"{ADA}:", "\nEnd"]})
    assert got["messages"][0]["content"].startswith(got["stop"][0][:-1]) and got["stop"][1] == "\nEnd"
    assert "Ada" not in got["stop"][0]


PICTURE = (
    "https://images.example/photo-1518791841217-8f162f1e1131?w=800&X-Amz-Signature=0a1b2c3d4e5f60718293a4b5c6d7e8f9"
)


@pytest.mark.parametrize(
    ("url", "passes"),
    [
        (PICTURE, True),
        ("https://cdn.example/u/AbCdEf0123456789GhIjKl/cat.png", True),
        ("https://cdn.example/2026/11/29/IMG_20261129_101112.jpg", True),
        ("https://upload.wikimedia.example/commons/thumb/3/3f/Fronalpstock_big.jpg/800px-Fronalpstock_big.jpg", True),
        ("https://i.example/gallery/123e4567-e89b-12d3-a456-426614174000.webp", True),
        (
            "https://store.blob.example/a/b.png?sv=2024-01-01&se=2026-12-01&sr=b&sp=r&sig=Zx9Kq2Lm8Rt4%2BVb7Nc1Wd6Yf3%3D",
            True,
        ),
        ("https://images.example/4111111111111111/cat.png", False),
        ("https://images.example/GB82WEST12345698765432/cat.png", False),
        ("https://ada:pass1234@images.example/cat.png", False),
        ("https://images.example/cat.png?api_key=abcd1234efgh5678", False),
        ("https://images.example/ada@mill.org/cat.png", False),
        ("https://images.example/gluten-free/cat.png", False),
    ],
)
async def test_addresses_of_pictures(detector: Detector, url: str, passes: bool) -> None:
    part = {"type": "image_url", "image_url": {"url": url, "detail": "low"}}
    got = await sealed(detector, {"messages": [user([part])]}, media="send", values=[("DIET", "gluten-free")])
    assert (got["messages"][0]["content"][0] == part) is passes


async def test_unknown_fields_are_prose_unless_the_owner_lets_them_pass(detector: Detector) -> None:
    token = "Zx9Kq2Lm8Rt4Vb7Nc1Wd6Yf3"
    body = {"messages": [user("hi")], "x_session": token, "x_deep": {"ids": [token, f"said {ADA}", "a@mill.org"]}}
    assert (await sealed(detector, body))["x_session"] != token
    got = await sealed(detector, body, passes=["x_session", "x_deep", "messages"])
    assert got["x_session"] == token and got["x_deep"]["ids"][0] == token
    assert "mill.org" not in json.dumps(got) and ADA not in json.dumps(got)


def test_the_table_names_only_rules_that_exist() -> None:
    table = wire()
    assert table.rule("message", "tool_call_id") == "id" and table.rule("request", "api_key") == "secret"
    assert table.rule("message", "x_unknown") is None
    assert table.is_word("role", "assistant") and not table.is_word("role", ADA)


@pytest.mark.parametrize("odd", [[ADA], {"name": ADA}, [[ADA]], 7, None])
async def test_types_that_are_no_words_are_read_as_anything_else(detector: Detector, odd: Any) -> None:
    schema = {"type": "object", "properties": {"note": {"type": odd}}}
    tool = {"type": "function", "function": {"name": "save", "parameters": schema}}
    parts = [{"type": odd, "text": f"{ADA} is here."}, {"type": "text", "text": "Greet her."}]
    body = await sealed(detector, {"messages": [user(parts)], "tools": [tool]})
    assert ADA not in json.dumps(body)
