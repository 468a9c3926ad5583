"""`netgpt places`: the places of interest that the box knows."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from netgpt.cli.common import json_option, print_json, print_table, reports_errors, say, tell, with_store
from netgpt.errors import NotFound, RequestError

if TYPE_CHECKING:
    from netgpt.context.places import Place
    from netgpt.store.schema import PlaceRow


app = typer.Typer(help="Places of interest: import, list, try, remove.", no_args_is_help=True)


@app.command("import")
@reports_errors
def import_file(
    file: Path = typer.Argument(help="A GeoJSON file: a FeatureCollection of named places."),
    source: str | None = typer.Option(None, help="Name of this set; the file's name when left out."),
    as_json: bool = json_option,
) -> None:
    """Read places from FILE; they replace what came from the same source before. Bad rows are named and left out."""
    from netgpt.context.places import read_geojson

    bad: list[str] = []
    places = read_geojson(file, bad.append)
    for fault in bad:
        say(fault)
    if not places:
        raise RequestError(f"{file}: no place could be read; nothing was changed")
    name = source or file.stem
    rows = _rows(name, places)
    with_store(lambda store: store.replace_places(name, rows))
    if as_json:
        print_json({"source": name, "imported": len(rows), "bad": bad})
    else:
        say(f"{name}: {len(rows)} places imported, {len(bad)} rows left out.")
    if bad:
        raise typer.Exit(2)


@app.command("list")
@reports_errors
def list_places(as_json: bool = json_option) -> None:
    """List every place."""
    rows = with_store(lambda store: store.places())
    if as_json:
        return print_json([asdict(row) for row in rows])
    columns = ("source", "id", "name", "kind", "latitude", "longitude", "tags")
    print_table(columns, [[*(getattr(row, name) for name in columns[:-1]), ", ".join(row.tags)] for row in rows])


@app.command(context_settings={"ignore_unknown_options": True})
@reports_errors
def near(
    latitude: float = typer.Argument(min=-90, max=90, help="Degrees, WGS 84."),
    longitude: float = typer.Argument(min=-180, max=180, help="Degrees, WGS 84."),
    words: list[str] | None = typer.Argument(None, help='A request, such as "dinner ideas"; left out: anything.'),
    within_m: float = typer.Option(5_000.0, min=1, help="Search this far, in metres."),
    limit: int = typer.Option(3, min=1, help="At most this many."),
    as_json: bool = json_option,
) -> None:
    """Show which places a request made at LATITUDE LONGITUDE would be completed with."""
    from netgpt.context.places import Place, near, nearest

    rows = with_store(lambda store: store.places())
    places = [Place(r.id, r.name, r.kind, r.latitude, r.longitude, r.text, r.tags) for r in rows]
    if words:
        facts = near(places, latitude, longitude, " ".join(words), limit, within_m)
    else:
        facts = nearest(places, latitude, longitude, limit, within_m)
    texts = [fact.text for fact in facts]
    print_json(texts) if as_json else print_table(["place"], [[text] for text in texts])


@app.command()
@reports_errors
def remove(
    source: str = typer.Argument(help="The source, as `netgpt places list` shows it."), as_json: bool = json_option
) -> None:
    """Delete every place of one source."""
    known = {row.source for row in with_store(lambda store: store.places())}
    if source not in known:
        raise NotFound(f'no places come from "{source}": `netgpt places list` shows the sources', param="source")
    with_store(lambda store: store.remove_places(source))
    tell(f"The places of {source} are deleted.", as_json, source=source, deleted=True)


def _rows(source: str, places: list[Place]) -> list[PlaceRow]:
    """Rows with ids that differ: files repeat ids, or have none."""
    from netgpt.store.schema import PlaceRow

    rows, taken = [], set()
    for number, place in enumerate(places):
        id = place.id if place.id not in taken else f"{place.id}#{number}"
        taken.add(id)
        where = place.latitude, place.longitude
        rows.append(PlaceRow(id, source, place.name, place.kind, *where, place.text, place.tags))
    return rows
