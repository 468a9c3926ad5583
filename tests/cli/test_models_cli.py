"""`netgpt models` as people and scripts use it."""

import json
from pathlib import Path

import pytest
from ggufs import tiny_gguf
from typer.testing import CliRunner
from weights import bundled_weights, encoder_weights  # noqa: F401

from netgpt.app.doctor import check_models
from netgpt.cli.model_catalogue import app
from netgpt.models import quantize
from netgpt.models.catalog import BUNDLED
from netgpt.settings import load_settings
from netgpt.testing.hub import FakeHub, Repo

runner = CliRunner()


def test_list_show_add_remove(tmp_path: Path) -> None:
    file = tiny_gguf(tmp_path / "tiny.gguf")
    assert "smollm2-135m" in runner.invoke(app, ["list"]).stdout
    assert runner.invoke(app, ["add", str(file), "--name", "mine"]).exit_code == 0
    rows = json.loads(runner.invoke(app, ["list", "--json"]).stdout)
    assert [(row["name"], row["present"]) for row in rows] == [
        ("smollm2-135m", False),
        ("all-minilm-l6-v2", False),
        ("mine", True),
    ]
    shown = json.loads(runner.invoke(app, ["show", "mine", "--json"]).stdout)
    assert (shown["architecture"], shown["quantization"]) == ("llama", "Q4_1")
    removed = runner.invoke(app, ["remove", "mine"])
    assert removed.exit_code == 0
    assert "left alone" in removed.stderr
    assert file.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["add", "none.gguf"], 2, "no such file"),
        (["show", "smolm2"], 2, "did you mean"),
        (["remove", "nobody"], 2, "No weights named"),
        (["pull", "nobody"], 2, "--from"),
        (["pull", "qwen3-0.5b"], 2, "did you mean"),
        (["use", "qwen3-0.6b"], 2, "netgpt models pull qwen3-0.6b"),
        (["use", "ollama:none:latest"], 2, "No weights named"),
        (["pull", "x", "--from", "hf:what"], 2, "hf:owner/repo"),
        (["pull", "--from", "none.whl"], 2, "no such file"),
        (["optimize"], 1, "netgpt models pull"),
        (["optimize", "all-minilm-l6-v2"], 2, "encodes sentences"),
    ],
)
def test_faults_are_one_line_with_a_cure(arguments: list[str], code: int, words: str) -> None:
    result = runner.invoke(app, arguments)
    assert result.exit_code == code
    assert words in result.stderr
    assert "Traceback" not in result.output


def test_pull_from_a_file_says_what_it_does(bundled_weights: Path, clean_environment: Path) -> None:  # noqa: F811
    result = runner.invoke(app, ["pull", "--from", str(bundled_weights)])
    assert result.exit_code == 0, result.output
    assert "taking smollm2-135m from" in result.stderr
    assert "checked by hash" in result.stderr
    assert list((clean_environment / "models").glob("*.gguf"))


def test_pull_without_a_name_brings_all_that_the_box_works_with(
    bundled_weights: Path,  # noqa: F811
    encoder_weights: Path,  # noqa: F811
    clean_environment: Path,
) -> None:
    """Both are here already, so that nothing is fetched."""
    runner.invoke(app, ["pull", "--from", str(bundled_weights)])
    runner.invoke(app, ["pull", "all-minilm-l6-v2", "--from", str(encoder_weights)])
    result = runner.invoke(app, ["pull"])
    assert result.exit_code == 0, result.output
    assert "smollm2-135m is here already" in result.stderr and "all-minilm-l6-v2 is here already" in result.stderr
    shown = json.loads(runner.invoke(app, ["show", "all-minilm-l6-v2", "--json"]).stdout)
    assert shown["present"] is True and shown["license"] == "Apache-2.0"


@pytest.mark.slow
def test_optimize_prints_what_it_measured(bundled_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """With short texts: how well a format is measured is not what is asked here."""
    for name, less in {"PROMPT_WORDS": 60, "WRITTEN_TOKENS": 8, "ANSWER_TOKENS": 8}.items():
        monkeypatch.setattr(quantize, name, less)
    monkeypatch.setattr(quantize, "QUESTIONS", quantize.QUESTIONS[:2])
    runner.invoke(app, ["pull", "--from", str(bundled_weights)])
    result = runner.invoke(app, ["optimize", "--json"])
    assert result.exit_code == 0, result.output
    outcome = json.loads(result.stdout)
    assert set(outcome["figures"]) == {"Q4_1", "Q4_0", "Q8_0"}
    assert outcome["figures"]["Q8_0"]["agreement"] > 0.8, "Q8_0 loses next to nothing of a Q4_1 model"
    served = json.loads(runner.invoke(app, ["show", "--json"]).stdout)["serves"]
    assert (outcome["chosen"] in served) and Path(served).is_file()


def test_recommend_says_what_fits_and_why() -> None:
    result = runner.invoke(app, ["recommend", "--quick", "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["recommended"] is None or told["recommended"] in told["why"]
    assert {"lfm2-350m", "qwen3-0.6b", "smollm3-3b", "gemma-3-4b", "llama-3.2-1b"} <= {
        row["name"] for row in told["models"]
    }
    assert all(row["tokens_per_s"] is None for row in told["models"]), "nothing was measured"
    shown = runner.invoke(app, ["recommend", "--quick"])
    assert "qwen3-4b" in shown.stdout and ("netgpt models pull" in shown.stderr or "none of them fits" in shown.stderr)


def test_a_model_of_another_program_is_listed_checked_and_used_where_it_is(
    bundled_weights: Path,  # noqa: F811
    tmp_path: Path,
    clean_environment: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the real weights as if Ollama had fetched them: they are asked a question, and stay in its folder."""
    digest = BUNDLED["smollm2-135m"].sha256
    root = tmp_path / "ollama"
    (root / "blobs").mkdir(parents=True)
    blob = root / "blobs" / f"sha256-{digest}"
    blob.write_bytes(bundled_weights.read_bytes())
    manifest = root / "manifests" / "registry.ollama.ai" / "library" / "smollm2" / "135m"
    manifest.parent.mkdir(parents=True)
    layer = {
        "mediaType": "application/vnd.ollama.image.model",
        "digest": f"sha256:{digest}",
        "size": blob.stat().st_size,
    }
    manifest.write_text(json.dumps({"layers": [layer]}))
    monkeypatch.setenv("OLLAMA_MODELS", str(root))
    assert "ollama:smollm2:135m" in runner.invoke(app, ["list"]).stdout
    rows = json.loads(runner.invoke(app, ["list", "--json"]).stdout)
    assert [(row["name"], row["origin"]) for row in rows if row["origin"] == "found"] == [
        ("ollama:smollm2:135m", "found")
    ]
    result = runner.invoke(app, ["use", "ollama:smollm2:135m"])
    assert result.exit_code == 0, result.output
    assert "it answers" in result.stderr
    assert 'model = "ollama-smollm2-135m"' in result.stderr, "the other name is that of the bundled weights"
    assert not list((clean_environment / "models").glob("*.gguf")), "nothing was copied"
    (row,) = [row for row in json.loads(runner.invoke(app, ["list", "--json"]).stdout) if row["origin"] == "added"]
    assert row["path"] == str(blob) and row["trial"]["works"] and row["trial"]["written_per_s"] > 0
    with blob.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff")
    changed = runner.invoke(app, ["use", "ollama:smollm2:135m"])
    assert changed.exit_code == 2 and "is not what ollama says" in changed.stderr


def test_pull_takes_hub_and_token_from_the_environment_and_tries_what_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is well-formed and useless: it is kept, and it is said that it does not answer."""
    small = tiny_gguf(tmp_path / "small.gguf").read_bytes()
    with FakeHub({"lab/Tiny-GGUF": Repo({"Tiny-Q4_K_M.gguf": small}, gated=True)}, token="hf_mine") as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        refused = runner.invoke(app, ["pull", "hf:lab/Tiny-GGUF"])
        assert refused.exit_code == 2 and "accept the terms" in refused.stderr
        monkeypatch.setenv("HF_TOKEN", "hf_mine")
        pulled = runner.invoke(app, ["pull", "hf:lab/Tiny-GGUF", "--untried"])
        assert pulled.exit_code == 0, pulled.output
        assert 'model = "tiny-q4_k_m"' in pulled.stderr and "licence: apache-2.0" in pulled.stderr
        tried = runner.invoke(app, ["use", "tiny-q4_k_m"])
        assert tried.exit_code == 1 and "does not work here" in tried.stderr
        assert "hf_mine" not in refused.output + pulled.output + tried.output
        asked = len(hub.received)
        assert runner.invoke(app, ["list"]).exit_code == 0 and len(hub.received) == asked
        shown = json.loads(runner.invoke(app, ["show", "tiny-q4_k_m", "--json"]).stdout)
    assert shown["source"] == "lab/Tiny-GGUF/Tiny-Q4_K_M.gguf" and len(shown["revision"]) == 40
    assert shown["trial"]["works"] is False and shown["origin"] == "pulled"


async def test_doctor_says_what_the_bundled_model_is_for(tmp_path: Path) -> None:
    found_in = (str(tmp_path / "none"),)
    alone = await check_models(load_settings(models={"found_in": found_in}))
    assert alone.state == "note" and "not there to answer" in alone.detail and "recommend" in alone.detail
    cloud = {"base_url": "https://cloud.example/v1"}
    assert (await check_models(load_settings(models={"found_in": found_in}, cloud=cloud))).state == "ok"
    larger = await check_models(load_settings(models={"found_in": found_in}, edge={"model": "qwen3-0.6b"}))
    assert larger.state == "ok" and "qwen3-0.6b answers" in larger.detail
    folder = tmp_path / "lmstudio" / "lab" / "Tiny"
    folder.mkdir(parents=True)
    tiny_gguf(folder / "tiny.gguf")
    found = await check_models(load_settings(models={"found_in": (str(tmp_path / "lmstudio"),)}, cloud=cloud))
    assert found.state == "note" and "1 models of other programs" in found.detail
