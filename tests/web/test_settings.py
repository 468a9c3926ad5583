"""`/v1/settings`: what is set and from where, without a secret; changes that are right or not kept at all."""

from __future__ import annotations

import asyncio
import json
import stat
import threading
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal

import httpx
from doors import Door
from pydantic import TypeAdapter

from netgpt.app.gateway import open_gateway
from netgpt.app.settings_rows import _form, settings_of
from netgpt.settings import Settings, load_settings
from netgpt.types import Role

FILE: Final = """\
# The box of the hall. Keep this line.

[server]
port = 8123  # after the old one
#keep_alive_s = 30.0

[edge]
base_url = "https://me:planted-password@edge.example/v1?token=planted-token"

[cloud]
base_url = "https://cloud.example/v1"
api_key = "sk-planted-in-file"      # from the wiki
model = 'gpt-9'

[cloud.headers]
x-tenant = "planted-header"

[routing.weights]
cost = 2

[[upstreams]]
name = "other-eu"  # the second
base_url = "https://other.example/v1"
model = "m"
api_key = "sk-planted-upstream"
timeout = 9

[[tools]]
name = "mail"
command = ["/usr/bin/mail-mcp", "--token=planted-argument"]
env = { TOKEN = "planted-env" }

[site]
# where it stands
city = "Portwick"
"""
PLANTED: Final = "planted"


@asynccontextmanager
async def box(home: Path, text: str = FILE, **environment: str) -> AsyncIterator[Door]:
    """A box with this settings file, read as `netgpt serve` reads it; it is not started."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / "netgpt.toml").write_text(text, encoding="utf-8")
    fixed = {"NETGPT_HOME": str(home), "NETGPT_PRIVACY__NAMES": "false"}
    if "[edge]" not in text:
        fixed["NETGPT_EDGE__BASE_URL"] = "http://127.0.0.1:9/v1"
    gateway = open_gateway(load_settings(home / "netgpt.toml", fixed | environment))
    try:
        yield Door(gateway)
    finally:
        await gateway.close()


async def change(here: Door, key: str | None = None, etag: str | None = None, **body: Any) -> httpx.Response:
    """A change on top of what is there now."""
    if etag is None:
        etag = (await here.get("/v1/settings", key=key)).headers["etag"]
    return await here.ask("PATCH", "/v1/settings", key=key, json=body, headers={"if-match": etag})


async def row(here: Door, name: str) -> dict[str, Any]:
    data = (await here.get("/v1/settings")).json()["data"]
    return next(each for each in data if each["name"] == name)


def refused(answer: httpx.Response, status: int, param: str | None, *words: str) -> None:
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param), answer.text
    assert all(word in error["message"] for word in words), error["message"]
    assert PLANTED not in answer.text


async def test_each_setting_says_where_it_comes_from_and_no_secret_is_shown(tmp_path: Path) -> None:
    planted = {"NETGPT_STORE__KEY_COMMAND": "echo planted-command", "NETGPT_INSIGHTS__RADIO_TOKEN": "planted-radio"}
    planted["NETGPT_UPSTREAMS__OTHER_EU__PROXY"] = "http://u:planted-proxy@p.example"
    planted["HF_TOKEN"] = "hf-planted"
    planted["NETGPT_STORE__KEY_COMMAND"] = ""
    async with box(tmp_path, **planted) as here:
        answer = await here.get("/v1/settings")
        assert PLANTED not in answer.text
        found = {each["name"]: each for each in answer.json()["data"]}
        lines = {name: found[name]["origin"]["line"] for name in (
            "server.port", "cloud.api_key", "routing.weights.cost", "upstreams.other-eu.timeout_s", "site.city"
        )}  # fmt: skip
        assert lines == {
            name: FILE.splitlines().index(line) + 1
            for name, line in {
                "server.port": "port = 8123  # after the old one", "routing.weights.cost": "cost = 2",
                "cloud.api_key": 'api_key = "sk-planted-in-file"      # from the wiki',
                "upstreams.other-eu.timeout_s": "timeout = 9", "site.city": 'city = "Portwick"',
            }.items()
        }  # fmt: skip
        proxy = found["upstreams.other-eu.proxy"]
        assert proxy["origin"] == {"kind": "environment", "where": "NETGPT_UPSTREAMS__OTHER_EU__PROXY", "line": None}
        assert (proxy["secret"], proxy["value"], proxy["hidden"], proxy["editable"]) == (True, None, True, False)
        assert found["models.token"]["origin"]["where"] == "HF_TOKEN"
        assert found["edge.base_url"]["value"] == "https://<hidden>@edge.example/v1?<hidden>"
        assert found["tools.mail.command"]["value"] == ["/usr/bin/mail-mcp", "<hidden>"]
        assert found["server.port"]["form"] == {"type": "integer", "minimum": 0, "maximum": 65535}
        assert found["routing.prefer"]["origin"]["kind"] == "default" and not found["routing.prefer"]["differs"]
        assert found["server.port"]["default"] == 8080 and "TCP port" in found["server.port"]["about"]


async def test_a_change_keeps_comments_and_layout_and_is_there_at_the_next_start(tmp_path: Path) -> None:
    async with box(tmp_path) as here:
        body: dict[str, Any] = {
            "server.port": 9001, "routing.weights.cost": 3.5, "site.city": 'Ab\u00f6 "x" \\', "log_level": "debug",
            "server.keep_alive_s": 12, "routing.weights.privacy": 1, "server.origins": ["https://chat.example"],
            "upstreams.other-eu.timeout_s": 7, "models.aliases": {"gpt-4o": "netgpt"}, "waiting.keep_days": 3,
        }  # fmt: skip
        names = ["server.port", "server.origins", "upstreams.other-eu.timeout_s", "models.aliases"]
        answer = await change(here, set=body, confirm=names)
        assert answer.status_code == 200, answer.text
        assert sorted(answer.json()["at_once"] + answer.json()["from_next_start"]) == sorted(body)
    text = (tmp_path / "netgpt.toml").read_text()
    for line in ("# The box of the hall. Keep this line.",
                 "port = 9001  # after the old one", "#keep_alive_s = 30.0",
                 'name = "other-eu"  # the second', "timeout = 7", "# where it stands", "cost = 3.5",
                 'api_key = "sk-planted-in-file"      # from the wiki', "model = 'gpt-9'"):  # fmt: skip
        assert line in text.splitlines(), text
    assert stat.S_IMODE((tmp_path / "netgpt.toml").stat().st_mode) == 0o600
    again = load_settings(tmp_path / "netgpt.toml", {"NETGPT_HOME": str(tmp_path)})
    assert (again.server.port, again.site.city, again.log_level) == (9001, 'Ab\u00f6 "x" \\', "debug")
    assert (again.routing.weights.privacy, again.upstreams[0].timeout_s, again.waiting.keep_days) == (1, 7, 3)
    before, after = tomllib.loads(FILE), tomllib.loads(text)
    assert after["cloud"] == before["cloud"] and after["tools"] == before["tools"]
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".netgpt.toml")]


async def test_a_default_counts_again_when_a_setting_is_taken_away(tmp_path: Path) -> None:
    async with box(tmp_path) as here:
        answer = await change(here, unset=["server.port"], set={"site.city": None}, confirm=["server.port"])
        assert answer.status_code == 200, answer.text
        assert (await row(here, "server.port"))["origin"]["kind"] == "default"
    assert "port" not in tomllib.loads((tmp_path / "netgpt.toml").read_text())["server"]


WRONG: Final[dict[str, tuple[Any, str]]] = {
    "server.max_waiting": (-1, "greater than or equal to 0"), "server.port": (70_000, "less than or equal"),
    "server.drain_s": (float("inf"), "no number"), "routing.prefer": ("best", "must be one of"),
    "routing.explore": (True, "a number"), "server.max_body_bytes": ("4000000", "a whole number"),
    "site.city": ("a\nb", "control characters"), "site.name": ("\ud800", "control characters"),
    "site.time_zone": ("Europe/Londn", 'did you mean "Europe/London"'), "site.latitude": (52.2, "go together"),
    "edge.slots": (10**400, "no number"), "completion.max_facts": ([1], "a whole number"),
    "policy.set": ("paranoid", "paranoid"), "server.tls_cert": ("/nowhere/cert.pem", "is not there"),
    "server.host": ("0.0.0.0", "no key exists"), "models.aliases": ({"netgpt": "x"}, "models.aliases"),
    "cloud.trusted": ("yes", "true or false"), "server.origins": (["*"], "must be origins"),
    "edge.base_url": ("https://<hidden>@edge.example/v1", "not written back"),
    "oidc.audience": ("us", "issuer is needed"), 
    "cloud.base_url": ("https://me:word@cloud.example/v1", "holds a name or a password"),
    "privacy.languages": (["xx"], "not one that the detector has learnt"), "insights.arms": (["moon"], "moon"),
    "privacy.sensitive_kinds": (["xx", 3], "must hold texts"),
    "server.trusted_proxies": (["proxy"], "addresses or networks"),
}  # fmt: skip


async def test_a_wrong_value_is_refused_with_its_name_and_nothing_is_written(tmp_path: Path) -> None:
    async with box(tmp_path) as here:
        etag = (await here.get("/v1/settings")).headers["etag"]
        sent = {"if-match": etag, "content-type": "application/json"}
        for name, (value, words) in WRONG.items():
            body = json.dumps({"set": {name: value, "waiting.keep_days": 2}, "confirm": [name]})
            answer = await here.ask("PATCH", "/v1/settings", content=body, headers=sent)
            refused(answer, 400, name, name, words)
        answer = await change(here, set={"server.prot": 1})
        refused(answer, 404, "set", 'did you mean "server.port"')
        odd_bodies: list[dict[str, Any]] = [{"set": []}, {"set": {}, "then": 2}, {"unset": [1]}, {"confirm": "all"}]
        for odd in odd_bodies:
            assert (await here.ask("PATCH", "/v1/settings", json=odd, headers=sent)).status_code == 400
        many = {f"x{number}": 1 for number in range(51)}
        refused(await change(here, set=many), 400, "set", "at most 50")
    assert (tmp_path / "netgpt.toml").read_text() == FILE and not (tmp_path / "settings.history").exists()


BY_HAND: Final = (
    "tools.mail.command", "tools.mail.env", "tools.mail.url", "store.key_command", "store.key", "store.head",
    "cloud.headers", "upstreams.other-eu.headers", "workflow.stages", "plugins.off", "upstreams.other-eu.name",
    "insights.radio_token_file",
)  # fmt: skip


async def test_what_runs_programs_or_reads_files_is_changed_by_hand_alone(tmp_path: Path) -> None:
    async with box(tmp_path) as here:
        shown = {each["name"]: each for each in (await here.get("/v1/settings")).json()["data"]}
        for name in BY_HAND:
            assert not shown[name]["editable"] and shown[name]["why_not"].startswith("only in the file")
            refused(await change(here, set={name: None}, confirm=[name]), 409, name, "only in the file")
    assert (tmp_path / "netgpt.toml").read_text() == FILE


async def test_what_the_environment_says_is_not_changed_here(tmp_path: Path) -> None:
    async with box(tmp_path, NETGPT_SERVER__PORT="8200", NETGPT_ROUTING__WEIGHTS__COST="4") as here:
        for name in ("server.port", "routing.weights.cost"):
            found = await row(here, name)
            assert found["origin"]["kind"] == "environment" and found["origin"]["where"] == found["variable"]
            refused(await change(here, set={name: 5}, confirm=[name]), 409, name, "environment")


async def test_what_could_open_the_box_wider_takes_an_admin_who_says_so_twice(tmp_path: Path) -> None:
    guarded = {"server.host": "127.0.0.2", "cloud.base_url": "https://evil.example/v1", "privacy.public_figures": False,
               "policy.set": "open", "cloud.trusted": True, "edge.base_url": "https://evil.example/v1",
               "privacy.media": "send", "mcp.local_keys": ["no-key"], "oidc.issuer": "https://evil.example",
               "server.origins": ["https://evil.example"], "store.keep_text": True, "cloud.api_key": "sk-new",
               "models.hub": "https://evil.example", "training.k_anonymity": 1,
               "completion.relevance": "/x"}  # fmt: skip
    async with box(tmp_path) as here:
        _, operator = await here.make_key(tenant="local", role=Role.OPERATOR)
        _, admin = await here.make_key(tenant="local", role=Role.ADMIN)
        for name, value in guarded.items():
            refused(await change(here, operator, set={name: value}, confirm=[name]), 403, name, "admin")
            refused(await change(here, admin, set={name: value}), 409, name, "confirm")
        assert (tmp_path / "netgpt.toml").read_text() == FILE
        assert (await change(here, operator, set={"routing.prefer": "cheap"})).status_code == 200
        shown = (await here.get("/v1/settings", key=operator)).json()["data"]
        assert not [each["name"] for each in shown if each["admin"] and each["editable"]]


async def test_only_who_runs_the_box_sees_or_changes_settings(tmp_path: Path) -> None:
    async with box(tmp_path) as here:
        for tenant, role in (("local", Role.USER), ("north", Role.ADMIN), ("north", Role.OPERATOR)):
            _, key = await here.make_key(tenant=tenant, role=role)
            assert (await here.get("/v1/settings", key=key)).status_code == 403
            answer = await change(here, key, etag='"x"', set={"routing.prefer": "cheap"})
            assert answer.status_code == 403 and "8123" not in answer.text
    assert (tmp_path / "netgpt.toml").read_text() == FILE


async def test_who_changed_what_is_noted_without_a_secret(tmp_path: Path) -> None:
    async with box(tmp_path) as here:
        id, key = await here.make_key(tenant="local", role=Role.ADMIN)
        body = {"cloud.api_key": "sk-planted-new", "routing.prefer": "cheap"}
        assert (await change(here, key, set=body, confirm=["cloud.api_key"])).status_code == 200
        told = (await here.get("/v1/settings", key=key)).json()
        assert [each["by"] for each in told["history"]] == [id]
        assert told["history"][0]["changes"] == [
            {"name": "cloud.api_key", "what": "set"}, {"name": "routing.prefer", "what": "cheap"}
        ]  # fmt: skip
    noted = tmp_path / "settings.history"
    assert stat.S_IMODE(noted.stat().st_mode) == 0o600 and PLANTED not in noted.read_text()
    assert "sk-planted-new" in (tmp_path / "netgpt.toml").read_text()


async def test_a_change_on_top_of_another_is_refused_and_without_a_look_too(tmp_path: Path) -> None:
    async with box(tmp_path) as here:
        etag = (await here.get("/v1/settings")).headers["etag"]
        assert (await change(here, etag=etag, set={"routing.prefer": "cheap"})).status_code == 200
        refused(await change(here, etag=etag, set={"routing.prefer": "fast"}), 412, "if-match", "meanwhile")
        etag = (await here.get("/v1/settings")).headers["etag"]
        (tmp_path / "netgpt.toml").write_text(FILE.replace("8123", "8124"))
        refused(await change(here, etag=etag, set={"routing.prefer": "fast"}), 412, "if-match", "by hand")
        answer = await here.ask("PATCH", "/v1/settings", json={"set": {"routing.prefer": "fast"}})
        refused(answer, 428, "if-match")
        both = await asyncio.gather(*(change(here, set={"waiting.keep_days": days}) for days in range(1, 9)))
        good = [each for each in both if each.status_code == 200]
        assert len(good) >= 1 and {each.status_code for each in both} <= {200, 412}
        assert "8124" in (tmp_path / "netgpt.toml").read_text()


async def test_a_reader_never_finds_half_a_file(tmp_path: Path) -> None:
    done, broken, seen = threading.Event(), list[str](), set[int]()

    def read() -> None:
        while not done.is_set():
            text = (tmp_path / "netgpt.toml").read_text()
            try:
                seen.add(tomllib.loads(text)["server"]["max_waiting"])
            except (ValueError, KeyError):
                broken.append(text)

    async with box(tmp_path, FILE.replace("[server]", "[server]\nmax_waiting = 1")) as here:
        reader = threading.Thread(target=read)
        reader.start()
        try:
            for most in range(2, 8):
                assert (await change(here, set={"server.max_waiting": most})).status_code == 200
        finally:
            done.set()
            reader.join()
    assert not broken and seen <= set(range(1, 8))


async def test_a_file_that_cannot_be_written_stays_as_it_was_and_the_cure_is_said(tmp_path: Path) -> None:
    place = tmp_path / "etc"
    place.mkdir()
    async with box(tmp_path / "home", "") as here:
        source = here.gateway.settings.source
        assert source is not None
        (place / "settings.toml").write_text(FILE)
        (tmp_path / "home" / "netgpt.toml").unlink()
        (tmp_path / "home" / "netgpt.toml").symlink_to(place / "settings.toml")
        assert (await change(here, set={"routing.prefer": "cheap"})).status_code == 200
        assert (tmp_path / "home" / "netgpt.toml").is_symlink() and "cheap" in (place / "settings.toml").read_text()
        (tmp_path / "home" / "settings.history").unlink()
        (tmp_path / "home" / "settings.history").symlink_to(place / "elsewhere")
        before = (place / "settings.toml").read_text()
        refused(await change(here, set={"routing.prefer": "fast"}), 409, None, "symbolic link", "Nothing was changed")
        assert (place / "settings.toml").read_text() == before and not (place / "elsewhere").exists()
        assert [each.name for each in place.iterdir()] == ["settings.toml"]


async def test_a_file_that_is_broken_by_hand_is_told_line_by_line_and_not_made_worse(tmp_path: Path) -> None:
    async with box(tmp_path) as here:
        path = tmp_path / "netgpt.toml"
        path.write_text(FILE.replace("port = 8123", "port = 81230").replace("[site]", "[site]\nplanet = 'x'"))
        told = (await here.get("/v1/settings")).json()
        assert any(f"{path}:4: server.port" in line for line in told["faults"])
        assert any("site.planet: no such setting" in line for line in told["faults"])
        assert next(each for each in told["data"] if each["name"] == "server.port")["fault"]
        refused(await change(here, set={"routing.prefer": "cheap"}), 409, "set", "another fault")
        path.write_text(FILE.replace("port = 8123", "port = 81230"))
        assert (await change(here, set={"server.port": 8125}, confirm=["server.port"])).status_code == 200
        path.write_text("[server\nport =")
        told = (await here.get("/v1/settings")).json()
        assert told["data"] == [] and "not valid TOML" in told["faults"][0]
        assert (await change(here, etag='"x"', set={"routing.prefer": "fast"})).status_code == 409
        assert path.read_text() == "[server\nport ="


LAYOUTS: Final = {
    "no file at all": None, "empty": "", "dotted keys": "routing.prefer = 'fast' # why\nserver.port = 8001\n",
    "inline tables": "routing = { prefer = 'fast', weights = { cost = 1 } } # why\n",
    "tables apart": "[routing.weights]\ncost = 1\n[server]\nport = 8001\n[routing]\nprefer = 'fast' # why\n",
    "CRLF": "[routing]\r\nprefer = 'fast' # why\r\n[server]\r\nport = 8001\r\n",
    "comments alone": "# [routing]\n# prefer = 'fast'\n# why\n",
    "quoted names": "[\"routing\"]\n'prefer' = 'fast' # why\n", "no end of line": "[routing]\nprefer = 'fast' # why",
}  # fmt: skip


async def test_every_layout_is_edited_without_harm_or_not_at_all(tmp_path: Path) -> None:
    body = {"routing.prefer": "cheap", "routing.weights.cost": 4, "waiting.keep_days": 2, "server.max_waiting": 7}
    path = tmp_path / "netgpt.toml"
    async with box(tmp_path, "") as here:
        for layout, text in LAYOUTS.items():
            path.unlink() if text is None else path.write_bytes(text.encode())
            answer = await change(here, set=body)
            if layout == "dotted keys":  # a table beside them would be another language: said, and nothing is done
                refused(answer, 409, "set", "by hand")
                assert path.read_text() == text
                path.write_text(f"{text}routing.weights.cost = 1\n")
                answer = await change(here, set=body)
            assert answer.status_code == 200, f"{layout}: {answer.text}"
            after = path.read_bytes().decode()
            found = load_settings(path, {"NETGPT_HOME": str(tmp_path)})
            assert (found.routing.prefer, found.routing.weights.cost, found.waiting.keep_days) == ("cheap", 4, 2)
            for kept in ("# why", "8001"):
                assert (kept in after) == (kept in (text or "")), layout


def test_what_a_setting_takes_is_told_for_every_sort_of_type() -> None:
    """Also for sorts that no setting has yet."""
    both = TypeAdapter(bool | Literal["sometimes"]).json_schema()
    assert _form(both, {}) == {"enum": [True, False, "sometimes"]}
    assert _form(TypeAdapter(int | str | None).json_schema(), {}) == {"type": "any", "nullable": True}
    assert _form(TypeAdapter(Literal["one"]).json_schema(), {}) == {"type": "string", "enum": ["one"]}
    found = {each.name: each.form for each in settings_of(Settings())}
    assert all("type" in form or "enum" in form for form in found.values()), found
