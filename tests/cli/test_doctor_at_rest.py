"""What `netgpt doctor` says of keys, rules and receipts, and the cure that it names."""

from __future__ import annotations

from pathlib import Path

from netgpt.cli import doctor
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
