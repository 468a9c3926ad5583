from __future__ import annotations

import json

from typer.testing import CliRunner

from netgpt.cli.places import app


def called(*words):
    return CliRunner().invoke(app, [*words])


def geojson(tmp_path, *names):
    features = [
        {
            "type": "Feature",
            "id": "same",
            "geometry": {"type": "Point", "coordinates": [0.12, 52.2 + number / 1000]},
            "properties": {"name": name, "amenity": "restaurant", "cuisine": "thai"},
        }
        for number, name in enumerate(names)
    ]
    path = tmp_path / "town.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_places_are_imported_listed_found_and_removed(tmp_path):
    path = geojson(tmp_path, "Sala Thong", "Bangkok City")
    assert called("import", str(path)).exit_code == 0
    listed = json.loads(called("list", "--json").stdout)
    assert [(row["source"], row["name"]) for row in listed] == [("town", "Sala Thong"), ("town", "Bangkok City")]
    found = json.loads(called("near", "52.2", "0.12", "dinner", "ideas", "--json").stdout)
    assert found[1] == "Near here: Bangkok City, thai restaurant, 100 m north"
    assert json.loads(called("near", "52.2", "0.12", "a", "joke", "--json").stdout) == []
    assert len(json.loads(called("near", "52.2", "0.12", "--json").stdout)) == 2
    assert called("remove", "town").exit_code == 0
    assert json.loads(called("list", "--json").stdout) == []


def test_importing_again_replaces_the_same_source(tmp_path):
    called("import", str(geojson(tmp_path, "Old")))
    called("import", str(geojson(tmp_path, "New")))
    assert [row["name"] for row in json.loads(called("list", "--json").stdout)] == ["New"]


def test_bad_rows_are_reported_and_the_others_imported(tmp_path):
    path = geojson(tmp_path, "Good", "")
    result = called("import", str(path), "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["imported"] == 1
    assert f"{path}: feature 1: " in result.stderr.replace("\n", "")


def test_a_file_that_is_none_and_an_unknown_source_are_reported(tmp_path):
    path = tmp_path / "bad.geojson"
    path.write_text("{")
    assert called("import", str(path)).exit_code == 2
    assert "not valid JSON" in called("import", str(path)).stderr
    assert "netgpt places list" in called("remove", "nowhere").stderr


def test_negative_coordinates_are_no_options():
    assert called("near", "-33.9", "-70.6", "--json").exit_code == 0
    assert called("near", "-133.9", "-70.6").exit_code == 2
