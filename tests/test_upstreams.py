"""Several models elsewhere in the settings: file, environment, what is refused, and what is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from netgpt.app.factory import open_remotes
from netgpt.errors import SettingsError
from netgpt.models.base import without_receipt
from netgpt.routing.candidates import asked_target, target_names
from netgpt.settings import Settings, load_settings
from netgpt.settings.routing import Upstream

TWO = """
[cloud]
base_url = "https://cloud.example/v1"
model = "large"

[[upstreams]]
name = "other-eu"
base_url = "https://eu.example/v1"
model = "middle"
region = "eu"
timeout = 7

[[upstreams]]
name = "next-door"
kind = "neighbour"
base_url = "http://10.0.0.2:8080/v1"
"""


def settings(tmp_path: Path, text: str = TWO, environment: dict[str, str] | None = None, **more: Any) -> Settings:
    file = tmp_path / "netgpt.toml"
    file.write_text(text)
    return load_settings(file, environment or {}, **more)


def test_remotes_are_the_cloud_and_then_the_upstreams(tmp_path: Path) -> None:
    made = settings(tmp_path)
    assert list(made.remotes) == ["cloud", "other-eu", "next-door"]
    assert made.upstreams[0].timeout_s == 7 and made.upstreams[0].max_connections == 100
    assert made.upstreams[1].model == "netgpt/edge"
    assert list(settings(tmp_path, TWO[TWO.index("[[up") :]).remotes) == ["other-eu", "next-door"]


def test_a_key_comes_from_the_environment_by_the_upstreams_name(tmp_path: Path) -> None:
    made = settings(tmp_path, environment={"NETGPT_UPSTREAMS__OTHER_EU__API_KEY": "sk-hidden", "NETGPT_UPSTREAMS": ""})
    key = made.upstreams[0].api_key
    assert key is not None and key.get_secret_value() == "sk-hidden" and "sk-hidden" not in repr(made)
    assert made.upstreams[1].api_key is None and len(made.upstreams) == 2


def test_the_environment_alone_may_make_one() -> None:
    env = {"NETGPT_UPSTREAMS__FAR__BASE_URL": "https://far.example/v1", "NETGPT_UPSTREAMS__FAR__MODEL": "m"}
    (made,) = load_settings(environment=env).upstreams
    assert (made.name, made.model) == ("far", "m")
    with pytest.raises(SettingsError, match=r"NETGPT_UPSTREAMS__.*base_url"):
        load_settings(environment={"NETGPT_UPSTREAMS__FAR__BASE_URL": "far.example"})


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (TWO.replace("https://eu.example", "eu.example"), r"netgpt\.toml:8: upstreams\.base_url: must be an HTTP"),
        (TWO.replace("timeout = 7", "timeout = 7\nregoin = 1"), r'netgpt\.toml:12: upstreams\.regoin: .*"region"'),
        (TWO.replace('"next-door"', '"edge"'), r'netgpt\.toml:14: upstreams\.name: "edge" is the name of a part'),
        (TWO.replace('"next-door"', '"Next Door"'), r"netgpt\.toml:14: upstreams\.name"),
        (TWO.replace('"next-door"', '"other-eu"'), 'two upstreams are called "other-eu"'),
        (TWO.replace('model = "middle"\n', ""), r"netgpt\.toml:6: upstreams: model is needed"),
        (TWO.replace('kind = "neighbour"', 'kind = "neighbour"\nmodel = "netgpt"'), "a neighbour is asked for"),
        (TWO.replace("timeout = 7", 'trusted = true\n[policy]\nset = "strict"'), r"upstreams\.other-eu\.trusted"),
    ],
)
def test_a_wrong_upstream_is_named_with_its_line(tmp_path: Path, wrong: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        settings(tmp_path, wrong)


def test_names_in_requests_ask_for_targets(tmp_path: Path) -> None:
    names = target_names(settings(tmp_path))
    asked = {"netgpt": "auto", "netgpt/edge": "edge", "netgpt/cloud": "cloud", "large": "cloud", "middle": "other-eu"}
    asked |= {"other-eu": "other-eu", "netgpt/other-eu": "other-eu", "next-door": "next-door", "unknown": "auto"}
    assert {model: asked_target(model, names) for model in asked} == asked


def test_a_box_without_a_cloud_takes_the_first_upstream_for_it() -> None:
    upstream = Upstream(name="far", base_url="https://far.example/v1", model="m")
    assert target_names(load_settings(environment={}, upstreams=[upstream]))["netgpt/cloud"] == "far"


def test_each_remote_has_its_own_address_breaker_and_name(tmp_path: Path) -> None:
    remotes = open_remotes(settings(tmp_path), without_receipt)
    assert {target: remote.destination for target, remote in remotes.items()} == {
        "cloud": "cloud.example", "other-eu": "eu.example", "next-door": "10.0.0.2:8080",
    }  # fmt: skip
    with pytest.raises(SettingsError, match=r"upstreams\.next-door\.base_url begins with http"):
        open_remotes(settings(tmp_path, TWO + '\nca_file = "/nowhere.pem"\n'), without_receipt)
