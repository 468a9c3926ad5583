"""Profiles on the disk: by their weights, vouched for, and what a changed, cut or foreign file gets."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from netgpt.app.capability import FILE, CapabilityService, ProfileFile, chances, published, shipped
from netgpt.capability.profile import Profile, Tally, of_remote, of_weights
from netgpt.errors import StoreError
from netgpt.judgement import TASK_KINDS
from netgpt.models.catalog import BUNDLED
from netgpt.settings import Settings, load_settings
from netgpt.store.store import open_store

MINE = of_weights("a" * 64)
BUNDLED_MODEL = of_weights(BUNDLED["smollm2-135m"].sha256)


def profile(subject: str = MINE, right: int = 6) -> Profile:
    kinds = {"facts": Tally(right=right, asked=24), "code": Tally(right=0, asked=24)}
    return Profile(subject=subject, name="tried", rounds={1: 24}, kinds=kinds)


def test_a_profile_is_kept_privately_and_found_by_its_weights_alone(tmp_path: Path) -> None:
    profiles = ProfileFile(tmp_path)
    profiles.save(profile())
    assert profiles.of(MINE) == profile().model_copy(update={"measured": profiles.own(MINE).measured})  # type: ignore[union-attr]
    assert profiles.of(of_weights("b" * 64)) is None
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    profiles.forget(MINE)
    assert profiles.of(MINE) is None


def test_the_bundled_model_has_a_measured_profile_in_the_package(tmp_path: Path) -> None:
    found = ProfileFile(tmp_path).of(BUNDLED_MODEL)
    assert found is not None
    assert found == shipped().of(BUNDLED_MODEL)
    assert found.kinds.keys() == set(TASK_KINDS)
    assert all(tally.asked >= 20 for tally in found.kinds.values())


def test_a_short_measurement_of_one_s_own_does_not_hide_the_long_one_that_was_shipped(tmp_path: Path) -> None:
    profiles = ProfileFile(tmp_path)
    short = Profile(subject=BUNDLED_MODEL, name="x", rounds={1: 1}, kinds={"facts": Tally(right=1, asked=1)})
    profiles.save(short)
    assert profiles.of(BUNDLED_MODEL) == shipped().of(BUNDLED_MODEL)


@pytest.fixture
def settings(clean_environment: Path) -> Settings:
    clean_environment.mkdir(mode=0o700)
    return load_settings()


async def test_a_file_that_was_changed_by_hand_is_not_believed_until_its_owner_accepts_it(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store(settings)
    try:
        profiles = ProfileFile(settings.home, store.files)
        profiles.save(profile())
        file = settings.home / FILE
        held = json.loads(file.read_text())
        held["profiles"][MINE]["kinds"]["code"]["right"] = 24  # a hostile model claims that it can code
        file.write_text(json.dumps(held))
        with caplog.at_level(logging.WARNING):
            assert profiles.of(MINE) is None
        assert str(file) in caplog.text
        with pytest.raises(StoreError, match="not written by this box"):
            profiles.save(profile(right=7))
        assert FILE in profiles.tampered()
        profiles.accept()
        assert profiles.own(MINE).kinds["code"].right == 24  # type: ignore[union-attr]
        assert not profiles.tampered()
    finally:
        await store.close()


@pytest.mark.parametrize("data", [b"", b"{", b"\x00" * 40, b"[]", b'{"version": 9, "profiles": {}}'])
def test_a_cut_file_counts_as_none_and_accepting_it_empties_it(tmp_path: Path, data: bytes) -> None:
    (tmp_path / FILE).write_bytes(data)
    profiles = ProfileFile(tmp_path)
    assert profiles.of(MINE) is None
    with pytest.raises(StoreError, match="netgpt models accept"):
        profiles.save(profile())
    profiles.accept()
    profiles.save(profile())
    assert profiles.of(MINE) is not None


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    ProfileFile(elsewhere.parent).save(profile())
    (tmp_path / FILE).rename(elsewhere)
    (tmp_path / FILE).symlink_to(elsewhere)
    assert ProfileFile(tmp_path).of(MINE) is None


def test_published_scores_are_found_by_family_with_their_source() -> None:
    told = published("Qwen2.5-7B-Instruct-Q4_K_M")
    assert told is not None
    assert told.chances["word-problems"] == pytest.approx(0.916)
    assert told.source.startswith("https://")
    assert published("a-model-of-nobody") is None
    assert published("gpt-4o-mini-2024-07-18").source != published("gpt-4o").source  # type: ignore[union-attr]


def test_of_a_model_without_any_figure_nothing_is_said() -> None:
    assert chances(None, "a-model-of-nobody") == {}
    told = chances(None, "gpt-4o")
    assert told.keys() == set(TASK_KINDS)
    assert told["code"] == pytest.approx(0.902)
    assert 0.887 <= told["translation"] <= 0.902


def test_every_target_gets_its_own_prior_and_a_new_measurement_is_seen(clean_environment: Path) -> None:
    cloud = {"base_url": "https://cloud.example/v1", "model": "gpt-4o", "api_key": "k"}
    other = {"name": "small", "base_url": "https://small.example/v1", "model": "a-model-of-nobody"}
    settings = load_settings(cloud=cloud, upstreams=[other])
    service = CapabilityService(settings, None)
    assert service.prior("cloud", "code") is None  # not read yet
    service.refresh()
    assert service.prior("cloud", "code") == pytest.approx(0.902)
    assert service.prior("edge", "code") == shipped().of(BUNDLED_MODEL).chance("code")  # type: ignore[union-attr]
    assert service.prior("small", "facts") is None
    assert service.prior("nobody", "facts") is None
    assert service.prior("cloud", "cooking") is None

    ProfileFile(settings.home).save(profile(of_remote("https://small.example/v1", "a-model-of-nobody"), right=18))
    service.refresh()
    assert 0.5 < (service.prior("small", "facts") or 0) < 0.75
    assert (service.prior("small", "code") or 1) < 0.2


def test_what_is_shown_holds_kinds_and_figures_only(clean_environment: Path) -> None:
    service = CapabilityService(load_settings(), None)
    service.refresh()
    shown = service.shown("edge")
    assert shown is not None
    assert shown["kinds"].keys() == set(TASK_KINDS)
    assert set(shown["kinds"]["facts"]) == {"chance", "right", "asked", "share", "interval", "measured"}
    assert service.shown("cloud") is None
