"""Keys from the environment and from commands; and what is said when they do not come."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from netgpt.errors import SettingsError, StoreError
from netgpt.settings import load_settings
from netgpt.store.encryption import GivenKeys, KeyCommand, KeyFile, Sealer, encoded_key, fresh_key
from netgpt.store.store import key_source, open_store

KEY = fresh_key()


def printing(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", f"print({text!r})")


def test_a_command_gives_the_key() -> None:
    assert KeyCommand(printing(encoded_key(KEY))).read() == (KEY,)
    assert Sealer(KeyCommand(printing(encoded_key(KEY)))).open(Sealer(KEY).seal(b"words", b""), b"") == b"words"


@pytest.mark.parametrize(
    "command, what",
    [
        (("no-such-program-here",), "cannot be started"),
        (
            (sys.executable, "-c", "import sys; print('SECRET'); sys.stderr.write('SECRET'); sys.exit(3)"),
            "ended with 3",
        ),
        ((sys.executable, "-c", "import time; print('SECRET', flush=True); time.sleep(60)"), "within 0.5 s"),
        (printing("SECRET is no key"), "not a sealing key"),
        (printing("U0VDUkVU"), "not a sealing key"),
        (printing(""), "not a sealing key"),
    ],
)
def test_a_command_that_gives_none_is_named_without_its_words(command: tuple[str, ...], what: str) -> None:
    with pytest.raises(StoreError, match=what) as error:
        KeyCommand(command, 0.5).read()
    assert command[0] in error.value.message
    assert "SECRET" not in error.value.message.replace(command[-1], "") and "U0VDUkVU" not in error.value.message


def test_a_command_is_not_a_shell(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        KeyCommand(("echo", f"$(touch {tmp_path / 'made'})", ";", "touch", str(tmp_path / "made"))).read()
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("between", [" ", ",", "\n", " , "])
def test_the_environment_may_hold_two_keys_newest_first(between: str) -> None:
    other = fresh_key()
    given = GivenKeys.from_text(encoded_key(KEY) + between + encoded_key(other), "NETGPT_STORE__KEY")
    assert given.read() == (KEY, other)
    assert Sealer(given).open(Sealer(other).seal(b"words", b""), b"") == b"words"


def test_a_wrong_key_in_the_environment_is_not_shown() -> None:
    with pytest.raises(StoreError, match="NETGPT_STORE__KEY") as error:
        GivenKeys.from_text("my secret word \u00e9", "NETGPT_STORE__KEY")
    assert "secret word" not in error.value.message and error.value.__cause__ is None


async def test_the_settings_choose_the_source(tmp_path: Path) -> None:
    environment = {"NETGPT_HOME": str(tmp_path), "NETGPT_STORE__KEY": encoded_key(KEY)}
    settings = load_settings(environment=environment)
    assert encoded_key(KEY) not in repr(settings) and key_source(settings).read() == (KEY,)
    store = open_store(settings)
    await store.close()
    assert not settings.key_file.exists()
    line = " ".join((sys.executable, "-c", f"'print(\"{encoded_key(KEY)}\")'"))
    settings = load_settings(environment={"NETGPT_HOME": str(tmp_path), "NETGPT_STORE__KEY_COMMAND": line})
    store = open_store(settings)
    assert (await store.sealing.info()).key_kind == "command"
    await store.close()
    with pytest.raises(StoreError, match="key of the sealed database is missing") as error:
        open_store(load_settings(environment={"NETGPT_HOME": str(tmp_path)}))
    words = error.value.message
    assert all(word in words for word in ("texts", "facts", "maps", "examples", "figures", "reset-sealed"))
    with pytest.raises(SettingsError, match="two sources"):
        load_settings(environment={**environment, "NETGPT_STORE__KEY_COMMAND": line})


def test_a_key_file_holds_several_keys_and_stays_private(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "secret.key")
    file.make()
    (first,) = file.read()
    file.make()
    file.write((KEY, first))
    assert file.read() == (KEY, first)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file.path]
