"""`GET /v1/models`: what each model can do, as far as it is known; kinds and figures only."""

from __future__ import annotations

from pathlib import Path

from doors import door

from netgpt.app.capability import CapabilityService
from netgpt.judgement import TASK_KINDS

CLOUD = {"base_url": "https://cloud.example/v1", "model": "gpt-4o", "api_key": "k"}


async def test_models_say_what_they_can_do_by_kind(tmp_path: Path) -> None:
    async with door(
        tmp_path, CLOUD, upstreams=[{"name": "odd", "base_url": "https://odd.example/v1", "model": "x"}]
    ) as box:
        models = {model["id"]: model for model in (await box.get("/v1/models")).json()["data"]}
        assert "netgpt" not in models["netgpt/edge"]  # of a scripted model nothing is known
        service = CapabilityService(box.gateway.settings, None)
        service.refresh()
        edge, cloud = service.shown("edge"), models["netgpt/cloud"]["netgpt"]["capability"]
        assert edge is not None and (edge["origin"], cloud["origin"]) == ("measured", "published")
        assert edge["kinds"].keys() == cloud["kinds"].keys() == set(TASK_KINDS)
        assert edge["kinds"]["facts"]["asked"] >= 20
        assert edge["kinds"]["creative"]["measured"] == "form"
        assert cloud["kinds"]["code"] == {"chance": 0.902}
        assert models["gpt-4o"]["netgpt"] == models["netgpt/cloud"]["netgpt"]
        for unknown in ("netgpt", "netgpt/odd", "netgpt/embed"):
            assert "netgpt" not in models[unknown]
        assert (await box.get("/v1/models/netgpt/edge")).json() == models["netgpt/edge"]
        assert box.gateway.capability.prior("cloud", "code") == 0.902
