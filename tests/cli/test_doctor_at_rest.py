"""What `netgpt doctor` says of keys, rules and receipts, and the cure that it names."""

from __future__ import annotations

import asyncio
from pathlib import Path

from netgpt.app import doctor
from netgpt.settings import load_settings
from netgpt.store.encryption import KeyFile, encoded_key, fresh_key


async def test_a_sound_box(clean_environment: Path) -> None:
    settings = load_settings(home=clean_environment)
    assert (await doctor.check_key(settings))[0] == "ok"
    assert (await doctor.check_policy(settings)) == ("ok", "balanced")
    assert (await doctor.check_receipts(settings))[1].startswith("0 receipts, whole")
    assert (await doctor.check_tls(settings))[0] == "ok"
    assert "exchanges 30" in (await doctor.check_retention(settings))[1]
    assert doctor.check_modes(settings)[0] == "ok"


async def test_each_fault_has_its_cure(clean_environment: Path) -> None:
    settings = load_settings(home=clean_environment)
    await doctor.check_key(settings)
    file = KeyFile(settings.key_file)
    file.write((fresh_key(), *file.read()))
    assert "netgpt store rotate" in (await doctor.check_key(settings))[1]
    settings.database.chmod(0o644)
    state, message = doctor.check_modes(settings)
    assert state == "wrong" and f"chmod go= {settings.database}" in message
    far = load_settings(home=clean_environment, cloud={"base_url": "http://cloud.example/v1"})
    assert (await doctor.check_tls(far))[0] == "wrong"
    assert (await doctor.check_policy(load_settings(home=clean_environment, policy={"set": "open"})))[0] == "note"


async def test_a_key_file_that_is_not_used_is_reported(clean_environment: Path) -> None:
    KeyFile(clean_environment / "secret.key").make()
    settings = load_settings(home=clean_environment, store={"key": encoded_key(fresh_key())})
    state, message = await doctor.check_key(settings)
    assert state == "note" and "is not used" in message


async def test_doctor_says_through_which_proxy_and_who_names_it(tmp_path: Path) -> None:
    proxy = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = proxy.sockets[0].getsockname()[1]
    env = {"NETGPT_CLOUD__BASE_URL": "https://cloud.example/v1", "HTTPS_PROXY": f"http://me:pw-secret@127.0.0.1:{port}"}
    found = await doctor.check_cloud(load_settings(None, env, home=tmp_path))
    assert found.state == "ok" and "pw-secret" not in found.detail
    assert f"through the proxy 127.0.0.1:{port}, by HTTPS_PROXY of the environment" in found.detail
    own = env | {"NETGPT_CLOUD__PROXY": f"http://127.0.0.1:{port}"}
    assert "by cloud.proxy" in (await doctor.check_cloud(load_settings(None, own, home=tmp_path))).detail
    proxy.close()
    await proxy.wait_closed()
    gone = await doctor.check_cloud(load_settings(None, env, home=tmp_path))
    assert (
        gone.state == "wrong" and "check HTTPS_PROXY of the environment, the proxy towards cloud.example" in gone.detail
    )


def test_shown_settings_hide_headers_and_proxy(tmp_path: Path) -> None:
    env = {"NETGPT_CLOUD__HEADERS": "X-Team=header-secret", "NETGPT_CLOUD__PROXY": "http://me:pw-secret@p:1"}
    settings = load_settings(None, env, home=tmp_path)
    shown = repr(settings) + str(settings.model_dump(mode="json")) + settings.model_dump_json()
    assert "header-secret" not in shown and "pw-secret" not in shown and "X-Team" in shown
