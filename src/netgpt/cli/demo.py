"""`netgpt demo`: a story that can be checked: a real box, real requests, and a stand-in for the cloud alone."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from netgpt.cli.common import (
    json_option,
    opened_files,
    plain,
    print_json,
    private_file,
    read_settings,
    reports_errors,
    say,
)
from netgpt.errors import ModelUnavailable, NetGPTError, NotFound, SettingsError
from netgpt.settings import Settings

if TYPE_CHECKING:
    import httpx
    from rich.console import Console

    from netgpt.cli.demo_cloud import StandIn
    from netgpt.cli.demo_story import Chapter, Claim, ToldExchange

MARK: Final = ".netgpt-demo"
"""A folder with this file in it was made by the demo, and is begun anew by it."""
READY_S: Final = 300.0
WIDEST: Final = 100


@reports_errors
def demo(as_json: bool = json_option) -> None:
    """A story with a real box: what leaves, what stays, and commands to check each claim. Needs no key."""
    settings = read_settings()
    if (settings.home / MARK).exists():  # told before, and its commands tried in this very shell
        settings = read_settings(home=settings.home.parent)
    weights, encoder = _weights(settings), _encoder(settings)
    home = _fresh_home(settings.home / "demo")
    say("Starting a box ...")
    chapters: list[Chapter] = []
    teller = _Teller(home)
    from netgpt.cli.demo_story import Story

    with _stage(home, weights, encoder) as (client, cloud):
        if not as_json:
            teller.begins()
        for number, chapter in enumerate(Story(client, cloud, home).chapters(), 1):
            chapters.append(told := chapter())
            if not as_json:
                teller.tells(number, told)
    failed = [claim.text for chapter in chapters for claim in chapter.claims if not claim.holds]
    if as_json:
        print_json({"home": str(home), "chapters": [_as_json(chapter) for chapter in chapters]})
    else:
        teller.ends(sum(len(chapter.claims) for chapter in chapters), failed)
    if failed:
        raise typer.Exit(1)


def _weights(settings: Settings) -> Path:
    """The edge model's file; fetched when it is not here yet, and said so."""
    from netgpt.cli.model_catalogue import pull_with_progress
    from netgpt.models.catalog import Catalog

    with opened_files(settings) as proof:
        catalog = Catalog(settings.models_dir, proof)
        try:
            return catalog.resolve(settings.edge.model)
        except (NotFound, ModelUnavailable):
            say(f"The edge model is not here yet: fetching it once into {settings.models_dir}.")
            pull_with_progress(settings, settings.edge.model)
            return catalog.resolve(settings.edge.model)


def _encoder(settings: Settings) -> str:
    """The sentence encoder's file, fetched when it is not here yet; "off" where it cannot be had: the demo goes on."""
    from netgpt.cli.model_catalogue import pull_with_progress
    from netgpt.models.catalog import Catalog

    catalog, name = Catalog(settings.models_dir), settings.encoder.model
    if name == "off":
        return name
    try:
        try:
            return str(catalog.encoder(name)[0])
        except ModelUnavailable:
            say(f"The sentence encoder is not here yet: fetching it once into {settings.models_dir}.")
            return str(pull_with_progress(settings, name).path)
    except NetGPTError as error:
        say(f"No sentence encoder: {error.message}")
        return "off"


def _fresh_home(home: Path) -> Path:
    """An empty home of the demo's own. Raises SettingsError: something else is there, or a box runs in it."""
    if home.exists():
        if not (home / MARK).exists():
            raise SettingsError(f"{home} was not made by the demo: move it away, or give another NETGPT_HOME")
        with suppress(FileNotFoundError), (home / "netgpt.db-open").open() as mark:
            try:
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise SettingsError(f"something has {home} open, such as `netgpt serve`: end it first") from None
        for path in home.iterdir():  # the folder stays: somebody's shell may stand in it
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    home.mkdir(mode=0o700, exist_ok=True)
    (home / MARK).touch(mode=0o600)
    return home


@contextmanager
def _stage(home: Path, weights: Path, encoder: str) -> Iterator[tuple[httpx.Client, StandIn]]:
    """A running box of that home, as a client sees it, and what it takes for a cloud."""
    import httpx

    from netgpt.cli.demo_cloud import StandIn

    with StandIn(home) as cloud:
        with private_file(home / "netgpt.toml", SettingsError) as file:
            file.write(_toml(weights, encoder, cloud.base_url))
        with _serving(home) as url, httpx.Client(base_url=url, timeout=180, trust_env=False) as client:
            yield client, cloud


def _toml(weights: Path, encoder: str, cloud: str) -> str:
    return (
        "# Written by `netgpt demo`. The cloud was the demo's own stand-in, and ended with it.\n"
        f"[edge]\nmodel = {json.dumps(str(weights))}\n\n[encoder]\nmodel = {json.dumps(encoder)}\n\n"
        f'[cloud]\nbase_url = "{cloud}"\nmodel = "stand-in"\nretries = 0\n\n'
        "# A busy machine may take its time: nobody waits here.\n"
        "[completion]\ntimeout_s = 60\n\n[privacy]\ntimeout_s = 60\n"
    )


@contextmanager
def _serving(home: Path) -> Iterator[str]:
    """`netgpt serve` in that home with its settings alone; where it listens. Raises ModelUnavailable: it does not."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NETGPT_")}
    log = home / "serve.log"
    with private_file(log, SettingsError) as out:
        box = subprocess.Popen(
            [sys.executable, "-m", "netgpt", "serve", "--port", "0"],
            env={**environment, "NETGPT_HOME": str(home)}, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        yield _ready(box, log)
    finally:
        box.terminate()
        try:
            box.wait(30)
        except subprocess.TimeoutExpired:
            box.kill()
            box.wait()


def _ready(box: subprocess.Popen[bytes], log: Path) -> str:
    import httpx

    until = time.monotonic() + READY_S
    while time.monotonic() < until and box.poll() is None:
        if listens := re.search(r"listens on (\S+)/v1", log.read_text(errors="replace")):
            with suppress(httpx.HTTPError):
                answer = httpx.get(f"{listens[1]}/readyz", timeout=10, trust_env=False).json()
                if answer["parts"]["detector"]["ok"] and answer["parts"]["edge"]["ok"]:
                    return listens[1]
        time.sleep(0.05)
    raise ModelUnavailable(f"the demo's box did not start: see {log}")


class _Teller:
    """Writes the story for people: as wide as the terminal, colours only there."""

    def __init__(self, home: Path) -> None:
        from rich.console import Console

        self._out: Console = Console(highlight=False)
        self._width = max(40, min(self._out.width, WIDEST))
        self._home = home

    def begins(self) -> None:
        self._text(
            "Real: the box, its models, rules, store and HTTP. Written beforehand: what the cloud says; a server of "
            "netgpt.testing stands in for a cloud, so that no key is needed and nothing is spent. Each claim can be "
            "checked; for the commands below, first:"
        )
        found = shutil.which("netgpt")
        own = Path(sys.executable).parent
        path = "" if found and Path(found).parent == own else f" PATH={shlex.quote(str(own))}:$PATH"
        self._command(f"cd {shlex.quote(str(self._home))} && export NETGPT_HOME=$PWD{path}")

    def tells(self, number: int, chapter: Chapter) -> None:
        self._out.print()
        self._line(f"{number}. {chapter.title}", "bold cyan")
        if chapter.intro:
            self._text(chapter.intro)
        for asked in chapter.asked:
            self._exchange(asked)
        if chapter.remark:
            self._text(chapter.remark)
        self._out.print()
        for claim in chapter.claims:
            self._claim(claim)

    def _exchange(self, asked: ToldExchange) -> None:
        self._out.print()
        self._line(asked.title, "bold")
        if asked.left:
            self._field("left", asked.left[-1].decode("utf-8", "replace"), "yellow")
            if asked.receipt:
                fits = "fits" if asked.proven else "DOES NOT FIT"
                self._field("receipt", f"{asked.receipt['id']}, {len(asked.left[-1])} bytes, its SHA-256 {fits}")
        else:
            self._field("left", "nothing", "yellow")
        if asked.said and asked.said != asked.answer:
            self._field("cloud", asked.said, "dim")
        self._field("answer", asked.answer, "green")
        if asked.route != "cloud":
            self._field("because", f"{asked.route}: {asked.reason}")

    def _claim(self, claim: Claim) -> None:
        self._field("holds" if claim.holds else "FAILS", claim.text, "" if claim.holds else "bold red")
        self._command(claim.command)
        self._field("", f"shows: {claim.shows}", "dim")

    def ends(self, claims: int, failed: list[str]) -> None:
        self._out.print()
        good = f"All {claims} claims hold." if not failed else f"{len(failed)} of {claims} claims FAIL."
        self._line(f"{good} The demo's home stays: {self._home}", "bold red" if failed else "bold")
        for text in failed:
            self._field("FAILS", text, "bold red")
        self._text("Look at it in the browser: `netgpt serve` there, then http://127.0.0.1:8080/console/")
        self._text("Your own box: `netgpt init` (in a new terminal: another home), then `netgpt serve`.")

    def _field(self, name: str, value: str, style: str = "") -> None:
        first = f"  {name:<9}"
        for line in value.splitlines() or [""]:
            self._wrapped(line, first, " " * len(first), style)
            first = " " * len(first)

    def _text(self, value: str) -> None:
        self._wrapped(value, "", "", "")

    def _line(self, value: str, style: str) -> None:
        self._wrapped(value, "", "  ", style)

    def _wrapped(self, value: str, first: str, later: str, style: str) -> None:
        from rich.text import Text

        lines = textwrap.wrap(
            plain(value), self._width, initial_indent=first, subsequent_indent=later, break_on_hyphens=False
        )
        for line in lines or [first]:
            self._out.print(Text(line, style=style), soft_wrap=True)

    def _command(self, command: str) -> None:
        """Never wrapped: it is to be copied."""
        from rich.text import Text

        self._out.print(Text(f"           $ {command}", style="dim"), soft_wrap=True)


def _as_json(chapter: Chapter) -> dict[str, Any]:
    """For machines: the bodies as text."""
    found = asdict(chapter)
    for asked in found["asked"]:
        asked["left"] = [body.decode("utf-8", "replace") for body in asked["left"]]
    return found
