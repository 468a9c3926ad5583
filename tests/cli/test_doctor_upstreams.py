"""What `netgpt doctor` says of the models elsewhere."""

from __future__ import annotations

from pathlib import Path

from upstreams import upstream

from netgpt.app.doctor import CHECKS, check_tls
from netgpt.settings import load_settings
from netgpt.testing.server import FaultyCloud


async def test_every_upstream_is_tried_and_the_wrong_one_is_named(tmp_path: Path) -> None:
    with FaultyCloud() as cloud:
        ups = [upstream("b", cloud)]
        fine = await CHECKS["upstreams"](load_settings(environment={}, home=tmp_path, upstreams=ups))
        assert fine.state == "ok" and fine.detail.startswith("b: 127.0.0.1")
        ups.append({"name": "gone", "kind": "neighbour", "base_url": "http://127.0.0.1:9/v1"})
        wrong = await CHECKS["upstreams"](load_settings(environment={}, home=tmp_path, upstreams=ups))
        assert wrong.state == "wrong" and "check upstreams.gone.base_url" in wrong.detail


async def test_plain_http_to_an_upstream_is_wrong(tmp_path: Path) -> None:
    ups = [{"name": "b", "kind": "neighbour", "base_url": "http://b.example/v1"}]
    state, detail = await check_tls(load_settings(environment={}, home=tmp_path, upstreams=ups))
    assert state == "wrong" and "set upstreams.b.base_url to https://" in detail
