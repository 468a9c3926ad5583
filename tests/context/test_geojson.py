from __future__ import annotations

import json

import pytest

from netgpt.context.places import near, read_geojson
from netgpt.errors import RequestError


def feature(coordinates, properties, kind="Point"):
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


def written(tmp_path, *features):
    path = tmp_path / "places.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
    return path


def test_a_point_becomes_a_place(tmp_path):
    properties = {
        "name": "ask restaurant",
        "amenity": "restaurant",
        "cuisine": "italian;pizza",
        "phone": "01223 364917",
    }
    (place,) = read_geojson(written(tmp_path, feature([0.1187, 52.2095], properties)))
    assert (place.name, place.kind, place.tags) == ("Ask Restaurant", "restaurant", ("italian", "pizza"))
    assert (place.latitude, place.longitude) == (52.2095, 0.1187)
    assert "01223 364917" in place.text


def test_other_shapes_count_as_their_middle(tmp_path):
    square = feature([[[0, 50], [2, 50], [2, 52], [0, 52], [0, 50]]], {"name": "Common", "leisure": "park"}, "Polygon")
    (place,) = read_geojson(written(tmp_path, square))
    assert (place.latitude, place.longitude, place.kind) == (51, 1, "park")


def test_bad_rows_are_reported_and_the_rest_is_read(tmp_path):
    path = written(
        tmp_path,
        feature([0.1, 52.2], {"name": "Good"}),
        feature([52.2, 200], {"name": "Swapped"}),
        feature([0.1, 52.2], {}),
        {"type": "Nothing"},
        feature([], {"name": "Nowhere"}),
        feature([float("nan"), 1], {"name": "Lost"}),
    )
    faults: list[str] = []
    assert [place.name for place in read_geojson(path, faults.append)] == ["Good"]
    assert len(faults) == 5
    assert faults[0].startswith(f"{path}: feature 1: latitude") and "longitude first" in faults[0]
    assert 'property "name" is missing' in faults[1]
    with pytest.raises(RequestError, match="feature 1"):
        read_geojson(path)


@pytest.mark.parametrize("text", ["", "[]", '{"type": "Feature"}', "{\n\nnope", '{"features": 3}'])
def test_a_file_that_is_no_geojson_is_named(tmp_path, text):
    path = tmp_path / "bad.geojson"
    path.write_text(text)
    with pytest.raises(RequestError, match=r"bad\.geojson"):
        read_geojson(path)
    with pytest.raises(RequestError, match="cannot be read"):
        read_geojson(tmp_path / "absent.geojson")


def test_real_places_of_a_town(tmp_path, shared_data):
    source = shared_data / "prompts" / "multiwoz_pois.jsonl"
    if not source.is_file():
        pytest.skip(f"{source} is not there: the trial with real places needs it")
    rows = [json.loads(line) for line in source.read_text().splitlines()]
    path = written(tmp_path, *(feature([row["location"][1], row["location"][0]], row) for row in rows))
    places = read_geojson(path)
    assert len(places) == len(rows)
    found = near(places, 52.2053, 0.1218, "somewhere cheap and italian")
    assert len(found) == 3
    assert all("italian restaurant, cheap" in fact.text for fact in found)
