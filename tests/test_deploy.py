"""What is taken away: the recipe of the image, the compose file and the unit name what is there, and a box starts so.

A container builder is not needed: the recipe is read, and its last words are carried out on this machine.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import socket
import subprocess
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
from forking import Forked, run_netgpt
from patience import wait_until

from netgpt.cli import COMMANDS
from netgpt.settings import Settings

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
yaml: Any = import_module("yaml")


def recipe() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, rest), joined lines and comments as Docker reads them."""
    text = "\n".join(line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if not line.startswith("#"))
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [(line.split(None, 1)[0], line.split(None, 1)[1].strip()) for line in lines if line.strip()]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for name, rest in recipe():
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append((name, rest))
    return found


def last(name: str) -> str:
    return [rest for each, rest in stages()[-1] if each == name][-1]


def environment() -> dict[str, str]:
    return {
        name: value for each, rest in stages()[-1] if each == "ENV" for name, value in re.findall(r"(\w+)=(\S+)", rest)
    }


def is_setting(variable: str) -> bool:
    section, name = variable.removeprefix("NETGPT_").lower().split("__")
    return name in type(getattr(Settings(), section)).model_fields


def test_the_recipe_copies_what_is_there_and_nothing_private() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"
    for name, rest in recipe():
        words = [word for word in rest.split() if not word.startswith("--")]
        if name == "COPY" and "--from=" not in rest:
            assert set(words[:-1]) <= let_in and all((ROOT / word).exists() for word in words[:-1]), rest
        elif name == "COPY":  # the database and the key of the home that fetched the weights stay behind
            assert words[0] in {"/opt/netgpt", "/build/home/models"}
    copied = " ".join(rest for name, rest in recipe() if name == "COPY")
    assert all(name in copied for name in let_in)


def test_all_that_the_image_installs_is_locked_by_hash() -> None:
    installs = [
        part.strip() for name, rest in recipe() if name == "RUN" for part in rest.split("&&") if " pip " in part
    ]
    for command in installs:
        file = re.search(r"-r (\S+)", command)
        assert ("--require-hashes" in command and file and (ROOT / file[1]).exists()) or "--no-deps" in command, command
    assert len(installs) == 4
    python = re.search(r"PYTHON=3\.(\d+)", dict(recipe())["ARG"])
    assert python and 11 <= int(python[1]) <= 13


def test_the_image_runs_a_command_of_ours_as_nobody_special() -> None:
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", last("USER"))
    assert json.loads(last("ENTRYPOINT")) == ["netgpt"] and json.loads(last("CMD"))[0] in COMMANDS
    check = last("HEALTHCHECK")
    assert json.loads(check[check.index("[") :])[:2] == ["netgpt", "status"]
    env = environment()
    assert env["NETGPT_HOME"] == last("VOLUME") == last("WORKDIR") == env["HOME"]
    assert all(is_setting(name) for name in env if "__" in name) and f"{last('USER').split(':')[0]}:" in str(
        stages()[-1]
    )


@pytest.mark.slow
def test_a_box_starts_as_the_image_says_and_only_with_a_key(
    tmp_path: Path, bundled_weights: Path, encoder_weights: Path
) -> None:
    home = tmp_path / "volume"
    home.mkdir(mode=0o700)
    shutil.copytree(bundled_weights.parent, home / "models", copy_function=os.link)  # the image's part of the home
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ours = {name: value for name, value in environment().items() if name.startswith(("NETGPT_", "PYTHON"))}
    env = {**os.environ, **ours, "NETGPT_HOME": str(home), "HOME": str(home), "NETGPT_SERVER__PORT": str(port)}
    serve, check = json.loads(last("CMD")), json.loads(re.sub(r"^.*?CMD ", "", last("HEALTHCHECK")))[1:]
    refused = run_netgpt(*serve, env=env)
    assert refused.returncode != 0 and "netgpt keys create" in refused.stderr
    assert run_netgpt(*check, env=env).returncode != 0
    made = run_netgpt("keys", "create", "--name", "open-webui", env=env, check=True)
    key = made.stdout.strip()
    assert key.startswith("ngpt_") and "\n" not in key  # what the page makes a line of .env of
    with (tmp_path / "log").open("wb") as log:
        box = Forked(serve, env=env, cwd=home, stdout=log, stderr=log)
        try:
            wait_until(lambda: run_netgpt(*check, env=env).returncode == 0, 120)
            url = f"http://127.0.0.1:{port}/v1/models"
            assert httpx.get(url, timeout=30).status_code == 401
            listed = httpx.get(url, headers={"authorization": f"Bearer {key}"}, timeout=30)
            assert "netgpt" in [row["id"] for row in listed.json()["data"]]
        finally:
            box.terminate()
            box.wait(30)
    assert "0.0.0.0" in (tmp_path / "log").read_text()
    assert not [path for path in home.iterdir() if path.stat().st_mode & 0o077]


def test_the_compose_file_fits_the_image() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    box, web = compose["services"]["netgpt"], compose["services"]["open-webui"]
    assert (DEPLOY / box["build"]["context"] / box["build"]["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    assert box["image"] == f"netgpt:{VERSION}" and box["volumes"] == [f"home:{last('VOLUME')}"]
    assert box["read_only"] and box["cap_drop"] == ["ALL"] and "no-new-privileges:true" in box["security_opt"]
    assert web["environment"]["OPENAI_API_BASE_URL"] == f"http://netgpt:{last('EXPOSE')}/v1"
    assert "NETGPT_KEY" in web["environment"]["OPENAI_API_KEY"] and web["depends_on"]["netgpt"]["condition"]
    assert all(port.startswith("127.0.0.1:") for service in (box, web) for port in service["ports"])
    assert {volume.split(":")[0] for service in (box, web) for volume in service["volumes"]} == {*compose["volumes"]}
    named = re.findall(
        r"NETGPT_[A-Z]\w+__\w+", (DEPLOY / "compose.yaml").read_text() + (ROOT / "docs/deploy.md").read_text()
    )
    assert len(named) >= 4 and all(is_setting(name) for name in named)


def test_secrets_beside_the_compose_file_are_never_committed_nor_copied() -> None:
    kept_out = subprocess.run(
        ["git", "check-ignore", "deploy/.env", "deploy/netgpt.env"], cwd=ROOT, capture_output=True
    )
    assert len(kept_out.stdout.splitlines()) == 2
    files = {
        each["path"] for each in yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["netgpt"]["env_file"]
    }
    assert files == {"netgpt.env"}


def test_the_unit_confines_the_service_and_systemd_reads_it(tmp_path: Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(DEPLOY / "netgpt.service")
    service = unit["Service"]
    assert service["ExecStart"].split() == ["/opt/netgpt/bin/netgpt", "serve"] and "serve" in COMMANDS
    user = (DEPLOY / "netgpt.sysusers.conf").read_text().splitlines()[-1].split()
    assert user[:2] == ["u", service["User"]] and "/var/lib/" + service["StateDirectory"] in user
    assert f"NETGPT_HOME=/var/lib/{service['StateDirectory']}" in service["Environment"]
    hardened = ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "MemoryDenyWriteExecute", "RemoveIPC")
    assert all(service[name] == "yes" for name in hardened)
    assert service["ProtectSystem"] == "strict" and service["CapabilityBoundingSet"] == ""
    if tool := shutil.which("systemd-analyze"):
        file = tmp_path / "netgpt.service"
        file.write_text((DEPLOY / "netgpt.service").read_text().replace(service["ExecStart"], "/bin/true"))
        read = subprocess.run([tool, "verify", file], capture_output=True, text=True)
        assert read.returncode == 0 and not read.stderr, read.stderr


def test_the_page_names_files_and_commands_that_are_there() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text()
    commands = re.findall(r"^(?:.*bin/)?netgpt ([a-z]+)", "\n".join(re.findall(r"```sh\n(.*?)```", page, re.S)), re.M)
    assert len(commands) >= 5 and set(commands) <= {*COMMANDS}
    assert all((ROOT / name).exists() for name in re.findall(r"deploy/[\w.]+", page) if not name.endswith("netgpt.env"))
