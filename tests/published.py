"""A mock made from a published OpenAPI document: it checks what it is asked, and answers by the schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from netgpt.testing.server import Connection, FakeHttp, ReceivedRequest

__all__ = ["PublishedMock", "document", "validator"]

SPECS = Path(__file__).parents[2] / "shared" / "specs"


def document(name: str) -> dict[str, Any]:
    """The published document, read by its path; the test is skipped where it is not at hand."""
    yaml = pytest.importorskip("yaml", reason="PyYAML reads the published documents")
    file = SPECS / name
    if not file.exists():
        pytest.skip(f"{name} is not at hand: published documents are read by path and never kept here")
    loaded: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return loaded


def validator(doc: dict[str, Any], schema: dict[str, Any]) -> Any:
    """Checks instances of a schema of the document."""
    rules = pytest.importorskip("jsonschema_rs", reason="checks instances against the published schemas")
    return rules.validator_for({**schema, "components": doc["components"]})


class PublishedMock(FakeHttp):
    """Answers every operation of the document. `faults`: what of the requests did not match it."""

    def __init__(self, doc: dict[str, Any], prefix: str) -> None:
        """`prefix`: the path under which the document's paths begin."""
        super().__init__()
        self.doc, self.prefix = doc, prefix
        self.faults: list[str] = []
        self.asked: list[str] = []

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.prefix}"

    async def serve(self, request: ReceivedRequest, connection: Connection) -> None:
        url = urlsplit(request.path)
        operation = self.doc["paths"].get(url.path.removeprefix(self.prefix), {}).get(request.method.lower())
        if operation is None:
            self.faults.append(f"no operation {request.method} {url.path}")
            connection.answer(404, b"{}")
            return
        self.asked.append(f"{request.method} {url.path.removeprefix(self.prefix)}")
        self._check_query(operation, parse_qsl(url.query))
        self._check_body(operation, request.body)
        content = operation["responses"]["200"]["content"]["application/json"]
        connection.answer(200, json.dumps(self.example(content["schema"])).encode())

    def _check_query(self, operation: dict[str, Any], query: list[tuple[str, str]]) -> None:
        known = {p["name"] for p in map(self.resolved, operation.get("parameters", [])) if p["in"] == "query"}
        self.faults += [f"no query parameter {name}" for name, _ in query if name not in known]

    def _check_body(self, operation: dict[str, Any], body: bytes) -> None:
        if "requestBody" not in operation:
            self.faults += ["a body where none is expected"] if body else []
            return
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        sent, known = json.loads(body), self.resolved(schema)["properties"]
        self.faults += [error.message for error in validator(self.doc, schema).iter_errors(sent)]
        self.faults += [f"no field {name}" for name in sent if name not in known]

    def resolved(self, thing: dict[str, Any]) -> dict[str, Any]:
        """What a `$ref` points to."""
        while "$ref" in thing:
            found: Any = self.doc
            for part in thing["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            thing = found
        return thing

    def example(self, schema: dict[str, Any]) -> Any:
        """An instance: the schema's own example, else one made of its types."""
        schema = self.resolved(schema)
        if "example" in schema:
            return schema["example"]
        if "enum" in schema:
            return schema["enum"][0]
        if "allOf" in schema:
            merged: dict[str, Any] = {}
            for part in schema["allOf"]:
                made = self.example(part)
                merged |= made if isinstance(made, dict) else {}
            return merged
        if "properties" in schema:
            return {name: self.example(each) for name, each in schema["properties"].items()}
        if schema.get("type") == "array":
            return [self.example(schema["items"])]
        return {"integer": 40, "number": 40.0, "boolean": True, "object": {}}.get(schema.get("type", ""), "40")
