"""Pulling from a hub that speaks Hugging Face's protocol: a real one in small, with everything that goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ggufs import tiny_gguf

from netgpt.errors import ModelUnavailable, NetGPTError, NotFound, PermissionDenied, RequestError
from netgpt.models.catalog import Catalog, WeightsEntry
from netgpt.models.hub import Hub, HubPlace
from netgpt.models.offers import offers
from netgpt.models.pull import pull
from netgpt.testing.hub import FakeHub, FileFault, Repo, digest_of

TOKEN = "hf_good"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[FakeHub]:
    small = tiny_gguf(tmp_path / "small.gguf").read_bytes()
    files: dict[str, bytes | Path] = {
        "README.md": b"# a model", "Tiny-Q8_0.gguf": small + b"\0" * 64, "Tiny-Q4_K_M.gguf": small,
        "mmproj-Tiny-Q4_K_M.gguf": small, "page.gguf": b"<html>", "big-00001-of-00002.gguf": small,
    }  # fmt: skip
    repos = {
        "lab/Tiny-GGUF": Repo(files),
        "lab/Gated-GGUF": Repo({"a.gguf": small}, gated=True),
        "lab/Words": Repo({"README.md": b"# none"}),
        "lab/Old-GGUF": Repo(renamed_to="lab/Tiny-GGUF"),
        "lab/Odd-GGUF": Repo({"odd.gguf": small}, architecture="phantom9"),
        "lab/Quiet-GGUF": Repo(
            {"odd.gguf": tiny_gguf(tmp_path / "o.gguf", general__architecture="phantom9").read_bytes()},
            architecture=None,
        ),
    }
    with FakeHub(repos, token=TOKEN) as fake:
        yield fake


def take(hub: FakeHub, tmp_path: Path, source: str, name: str = "mine", **how: Any) -> tuple[WeightsEntry, list[str]]:
    said: list[str] = []
    token = how.pop("token", None)
    catalog = Catalog(tmp_path / "models")
    client = Hub(hub.address, token, pause_s=0.001)
    return pull(name, catalog, source=source or None, hub=client, say=said.append, **how), said


def kept(tmp_path: Path) -> list[str]:
    folder = tmp_path / "models"
    return sorted(path.name for path in folder.iterdir() if "index" not in path.name) if folder.exists() else []


def test_a_file_is_pulled_checked_and_pinned(hub: FakeHub, tmp_path: Path) -> None:
    entry, said = take(hub, tmp_path, "hf:lab/Tiny-GGUF/Tiny-Q4_K_M.gguf")
    repo = hub.repos["lab/Tiny-GGUF"]
    assert (entry.origin, entry.license, entry.sha256) == (
        "pulled",
        "apache-2.0",
        digest_of(repo.files["Tiny-Q4_K_M.gguf"]),
    )
    assert entry.facts["revision"] == repo.commit and entry.path.read_bytes() == repo.files["Tiny-Q4_K_M.gguf"]
    assert kept(tmp_path) == ["mine.gguf"]
    assert any("trust on first use" in line for line in said) and "secret" not in " ".join(said)
    asked = len(hub.files.received)
    assert "is here already" in " ".join(take(hub, tmp_path, "hf:lab/Tiny-GGUF/Tiny-Q4_K_M.gguf")[1])
    assert len(hub.files.received) == asked, "nothing is fetched twice"


def test_without_a_file_the_usual_format_is_taken(hub: FakeHub, tmp_path: Path) -> None:
    entry, _ = take(hub, tmp_path, "", name="hf:lab/Tiny-GGUF")
    assert entry.name == "tiny-q4_k_m" and entry.facts["source"] == "lab/Tiny-GGUF/Tiny-Q4_K_M.gguf"


def test_what_was_pinned_is_kept_until_something_else_is_asked_for(hub: FakeHub, tmp_path: Path) -> None:
    source, repo = "hf:lab/Tiny-GGUF/Tiny-Q4_K_M.gguf", hub.repos["lab/Tiny-GGUF"]
    first, _ = take(hub, tmp_path, source)
    Catalog(tmp_path / "models").remove("mine")
    repo.files["Tiny-Q4_K_M.gguf"] = tiny_gguf(tmp_path / "new.gguf", general__name="new").read_bytes()
    with pytest.raises(NetGPTError):  # the pinned commit is gone here; whatever came would not have the hash
        take(hub, tmp_path, source)
    assert kept(tmp_path) == []
    again, _ = take(hub, tmp_path, source, again=True)
    assert again.sha256 == digest_of(repo.files["Tiny-Q4_K_M.gguf"]) != first.sha256


def test_a_pinned_commit_cannot_be_given_other_bytes(hub: FakeHub, tmp_path: Path) -> None:
    source, repo = "hf:lab/Tiny-GGUF/Tiny-Q4_K_M.gguf", hub.repos["lab/Tiny-GGUF"]
    take(hub, tmp_path, source)
    Catalog(tmp_path / "models").remove("mine")
    repo.etags["Tiny-Q4_K_M.gguf"] = "ab" * 32
    with pytest.raises(RequestError, match="another file"):
        take(hub, tmp_path, source)
    assert kept(tmp_path) == []


def test_the_token_never_reaches_the_other_host(hub: FakeHub, tmp_path: Path) -> None:
    entry, said = take(hub, tmp_path, "hf:lab/Gated-GGUF/a.gguf", token=TOKEN)
    assert entry.present
    assert any(request.header("authorization") == f"Bearer {TOKEN}" for request in hub.received)
    assert hub.files.received and all(request.header("authorization") is None for request in hub.files.received)
    assert TOKEN not in " ".join(said) + repr(Hub(hub.address, TOKEN))


@pytest.mark.parametrize(
    ("source", "token", "kind", "words"),
    [
        ("hf:lab/Gated-GGUF/a.gguf", None, PermissionDenied, "accept the terms"),
        ("hf:lab/Gated-GGUF/a.gguf", "hf_other", PermissionDenied, "does not count"),
        ("hf:lab/None-GGUF/a.gguf", None, NotFound, "no such repository"),
        ("hf:lab/None-GGUF/a.gguf", TOKEN, NotFound, "no such repository"),
        ("hf:lab/Tiny-GGUF@v9/Tiny-Q4_K_M.gguf", None, NotFound, 'no revision "v9"'),
        ("hf:lab/Tiny-GGUF/Tiny-Q4_KM.gguf", None, NotFound, 'did you mean "Tiny-Q4_K_M.gguf"'),
        ("hf:lab/Tiny-GGUF/README.md", None, NotFound, "no GGUF file"),
        ("hf:lab/Words", None, RequestError, "no whole GGUF file"),
        ("hf:lab/Odd-GGUF", None, RequestError, "cannot run the architecture 'phantom9'"),
        ("hf:lab/Quiet-GGUF", None, RequestError, "cannot run the architecture 'phantom9'"),
        ("hf:lab/Tiny-GGUF/page.gguf", None, RequestError, "a web page"),
        ("hf:lab/Tiny-GGUF/../../etc/passwd", None, RequestError, "write hf:owner"),
        ("hf:../lab/Tiny.gguf", None, RequestError, "write hf:owner"),
        ("hf:lab/Tiny-GGUF/a.gguf?x=1", None, RequestError, "write hf:owner"),
    ],
)  # fmt: skip
def test_refused_with_what_to_do(
    source: str, token: str | None, kind: type[NetGPTError], words: str, hub: FakeHub, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=words) as refused:
        take(hub, tmp_path, source, token=token)
    assert TOKEN not in refused.value.message and "hf_other" not in refused.value.message
    assert kept(tmp_path) == []


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ([FileFault.LONGER], "wrong size"),
        ([FileFault.SHORTER], "wrong size"),
        ([FileFault.UNTOLD], "wrong size|cut"),
        ([FileFault.OTHER_BYTES], "wrong hash"),
        ([FileFault.PAGE], "a web page"),
        ([FileFault.ERROR] * 9, "answers 503"),
    ],
)
def test_a_file_that_is_not_what_was_named_is_refused(
    faults: list[FileFault], words: str, hub: FakeHub, tmp_path: Path
) -> None:
    hub.schedule(*faults)
    with pytest.raises(NetGPTError, match=words):
        take(hub, tmp_path, "hf:lab/Tiny-GGUF/Tiny-Q4_K_M.gguf")
    assert not [name for name in kept(tmp_path) if not name.endswith(".part")]
    hub.files.faults.clear()
    assert take(hub, tmp_path, "hf:lab/Tiny-GGUF/Tiny-Q4_K_M.gguf")[0].present, "and the next time all is well"


def test_a_cut_goes_on_and_a_slow_one_comes_whole(hub: FakeHub, tmp_path: Path) -> None:
    hub.schedule(FileFault.CUT, FileFault.CUT, FileFault.SLOW)
    seen: list[tuple[int, int | None]] = []
    entry, _ = take(
        hub, tmp_path, "hf:lab/Tiny-GGUF/Tiny-Q4_K_M.gguf", progress=lambda done, total: seen.append((done, total))
    )
    ranges = [request.header("range") for request in hub.files.received]
    assert ranges[0] is None and all(ranges[1:]) and len(ranges) == 3
    assert seen[-1] == (entry.bytes, entry.bytes)


def test_a_hub_that_contradicts_itself_is_refused(hub: FakeHub, tmp_path: Path) -> None:
    hub.repos["lab/Tiny-GGUF"].lies["Tiny-Q4_K_M.gguf"] = "cd" * 32
    with pytest.raises(RequestError, match="another file"):
        take(hub, tmp_path, "hf:lab/Tiny-GGUF/Tiny-Q4_K_M.gguf")
    assert not hub.files.received


def test_names_that_steer_a_terminal_are_not_shown(hub: FakeHub, tmp_path: Path) -> None:
    files = hub.repos["lab/Tiny-GGUF"].files
    files["\x1b[2JTiny-Q4_0.gguf"] = files["Tiny-Q4_K_M.gguf"]
    with pytest.raises(NotFound) as refused:
        take(hub, tmp_path, "hf:lab/Tiny-GGUF/Tiny-Q4_0.gguf")
    assert "\x1b" not in refused.value.message


def test_a_renamed_repository_is_followed(hub: FakeHub, tmp_path: Path) -> None:
    assert take(hub, tmp_path, "hf:lab/Old-GGUF/Tiny-Q4_K_M.gguf")[0].present


def test_a_file_that_has_no_room_is_not_begun(hub: FakeHub, tmp_path: Path) -> None:
    client = Hub(hub.address)
    file = client.find(HubPlace.parse("lab/Tiny-GGUF/Tiny-Q4_K_M.gguf"))
    huge = type(file)(file.repo, file.commit, file.path, 10**15, file.sha256, "")
    with pytest.raises(ModelUnavailable, match="the disk is too full"):
        client.fetch(huge, tmp_path / "x.gguf", None)
    assert not hub.files.received and not list(tmp_path.glob("*.part"))


def test_an_offer_is_pulled_by_its_name_and_its_pin_holds(hub: FakeHub, tmp_path: Path) -> None:
    pinned, free = offers()["qwen3-0.6b"], offers()["lfm2-700m"]
    small = tiny_gguf(tmp_path / "s.gguf").read_bytes()
    for offer in (pinned, free):
        hub.repos[offer.repo] = Repo({offer.file: small})
    with pytest.raises(NotFound, match="no revision"):
        take(hub, tmp_path, "", name="qwen3-0.6b")
    entry, said = take(hub, tmp_path, "", name="lfm2-700m")
    assert entry.license == free.license and any("trust on first use" in line for line in said)
    with pytest.raises(NotFound, match=r'did you mean "qwen3-0\.6b"'):
        take(hub, tmp_path, "", name="qwen3-0.5b")
    assert "is here already" in " ".join(take(hub, tmp_path, "", name="LFM2:700M")[1]), "as others write it"
    with pytest.raises(RequestError, match="is not the file that is offered"):
        take(hub, tmp_path, str(tmp_path / "s.gguf"), name="qwen3-0.6b")


def test_nothing_is_fetched_without_a_hub(tmp_path: Path) -> None:
    """What other commands call (the demo) does not reach the hub."""
    for name in ("qwen3-0.6b", "hf:lab/Tiny-GGUF"):
        with pytest.raises(NotFound):
            pull(name, Catalog(tmp_path / "models"))
    with pytest.raises(NotFound, match=r"netgpt models pull qwen3-0\.6b"):
        Catalog(tmp_path / "models").resolve("qwen3-0.6b")


def test_a_server_that_is_no_hub_is_named(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        pull("x", Catalog(tmp_path / "m"), source="hf:a/b/c.gguf", hub=Hub("http://127.0.0.1:9"))
    with pytest.raises(RequestError, match="https only"):
        pull("x", Catalog(tmp_path / "m"), source="hf:a/b/c.gguf", hub=Hub("http://hub.example"))


def test_every_offer_is_sound() -> None:
    for name, offer in offers().items():
        assert HubPlace.parse(f"{offer.repo}/{offer.file}").file == offer.file, name
        assert not offer.sha256 or (len(offer.sha256) == 64 and len(offer.revision) == 40)
        assert 0.3 < offer.bytes * 8 / offer.parameters / 16 < 0.6, "about 5 to 9 bits a weight"
        assert offer.good_for and offer.license
    assert len({offer.sha256 for offer in offers().values() if offer.sha256}) >= 8
