"""The catalogue: names, files, and what happens when they are gone or damaged."""

import stat
from pathlib import Path

import pytest
from ggufs import tiny_gguf

from netgpt.errors import ModelUnavailable, NotFound, RequestError
from netgpt.models.catalog import BUNDLED, BundledEncoder, Catalog


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "models")


def test_the_bundled_entry_is_listed_but_not_here(catalog: Catalog) -> None:
    entry, encoder = catalog.list()
    assert (encoder.name, encoder.present, encoder.origin) == ("all-minilm-l6-v2", False, "bundled")
    assert (entry.name, entry.present, entry.origin) == ("smollm2-135m", False, "bundled")
    with pytest.raises(ModelUnavailable, match=r"netgpt models pull smollm2-135m.*98 MB"):
        catalog.resolve("smollm2-135m")


def test_unknown_names_get_a_hint(catalog: Catalog) -> None:
    with pytest.raises(NotFound, match='did you mean "smollm2-135m"'):
        catalog.resolve("smolm2")
    with pytest.raises(NotFound, match="no such weights file"):
        catalog.resolve("./nowhere.gguf")


def test_a_file_is_added_by_reference_and_forgotten(catalog: Catalog, tmp_path: Path) -> None:
    file = tiny_gguf(tmp_path / "My Model.gguf")
    assert catalog.add(file).name == "my-model"
    assert catalog.resolve("my-model") == file
    assert stat.S_IMODE((catalog.models_dir / "index.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(catalog.models_dir.stat().st_mode) == 0o700
    catalog.remove("my-model")
    assert file.exists()
    with pytest.raises(NotFound):
        catalog.resolve("my-model")


def test_a_copy_lives_on_its_own(catalog: Catalog, tmp_path: Path) -> None:
    file = tiny_gguf(tmp_path / "a.gguf")
    entry = catalog.add(file, "mine", copy=True)
    file.unlink()
    assert catalog.resolve("mine") == entry.path == catalog.models_dir / "mine.gguf"
    assert stat.S_IMODE(entry.path.stat().st_mode) == 0o600
    catalog.remove("mine")
    assert not entry.path.exists()


def test_a_file_that_went_away_is_reported(catalog: Catalog, tmp_path: Path) -> None:
    file = tiny_gguf(tmp_path / "a.gguf")
    catalog.add(file)
    file.unlink()
    with pytest.raises(ModelUnavailable, match="netgpt models remove a"):
        catalog.resolve("a")


@pytest.mark.parametrize("name", ["", "A", "../x", "a/b", "x" * 65, "smollm2-135m"])
def test_bad_names_are_refused(catalog: Catalog, tmp_path: Path, name: str) -> None:
    with pytest.raises(RequestError, match="name"):
        catalog.add(tiny_gguf(tmp_path / "a.gguf"), name)
    assert len(catalog.list()) == len(BUNDLED)


def test_a_bad_file_is_not_added(catalog: Catalog, tmp_path: Path) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"nothing")
    with pytest.raises(RequestError, match="not a GGUF"):
        catalog.add(bad)
    assert len(catalog.list()) == len(BUNDLED)


@pytest.mark.parametrize("content", ["", "[]", '{"version": 1}', '{"version": 1, "added": {"a": {}}, "optimized": {}}'])
def test_a_damaged_index_is_named(catalog: Catalog, content: str) -> None:
    catalog.models_dir.mkdir()
    (catalog.models_dir / "index.json").write_text(content)
    with pytest.raises(ModelUnavailable, match=r"index\.json: damaged"):
        catalog.list()


def test_the_optimized_variant_serves_while_it_fits(catalog: Catalog, tmp_path: Path) -> None:
    entry = catalog.add(tiny_gguf(tmp_path / "a.gguf"))
    variant = tiny_gguf(catalog.models_dir / "a.Q8_0.gguf", general__file_type=7)
    catalog.set_optimized(entry, variant, {"format": "Q8_0"})
    assert catalog.resolve("a") == variant
    assert catalog.show("a").optimized == "Q8_0"
    variant.write_bytes(b"cut")
    assert catalog.resolve("a") == entry.path
    tiny_gguf(variant, general__file_type=7)
    tiny_gguf(entry.path, general__name="other weights")
    catalog.add(entry.path)
    assert catalog.resolve("a") == entry.path, "a variant of other weights must not serve"


def test_removing_takes_the_variant_along(catalog: Catalog, tmp_path: Path) -> None:
    entry = catalog.add(tiny_gguf(tmp_path / "a.gguf"))
    variant = tiny_gguf(catalog.models_dir / "a.Q8_0.gguf")
    catalog.set_optimized(entry, variant, {"format": "Q8_0"})
    catalog.remove("a")
    assert not variant.exists()
    assert entry.path.exists()


def test_bundled_facts_are_whole() -> None:
    for name, entry in BUNDLED.items():
        assert entry.name == name
        assert len(entry.sha256) == len(entry.package_sha256) == 64
        assert entry.member.endswith("model.safetensors" if isinstance(entry, BundledEncoder) else entry.file)
