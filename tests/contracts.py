"""What vendors have promised: requests and simulated answers, held against their specifications."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from opslib.acts import Request

# Vendors' own files are large and lie beside the project; what was written from a vendor's source is here.
SPECS = (Path(__file__).parent / "specs", Path(__file__).parents[1].parent / "shared" / "reference" / "specs")
jsonschema: Any = pytest.importorskip("jsonschema")


def checked(
    path: str, document: Any, method: str = "get", *, vendor: str = "vercel", code: str = "200"
) -> None:
    """Hold a simulated answer against the schema of its vendor's specification."""
    spec = specification(vendor)
    answer = spec["paths"][path][method]["responses"][code]
    if "$ref" in answer:
        answer = spec["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    schema = answer["content"]["application/json"]["schema"]
    holds({**schema, "components": spec["components"]}, document)


def sent(act: Request, vendor: str = "vercel") -> None:
    """Hold a request against the operation of its vendor's specification that it is for."""
    spec = specification(vendor)
    fits = [p for p in spec["paths"] if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", p), act.path)]
    operations = [
        spec["paths"][p][act.method.lower()] for p in fits if act.method.lower() in spec["paths"][p]
    ]
    assert len(operations) == 1, f"{act.text} is no operation of the specification"
    known = {p["name"] for p in operations[0].get("parameters", []) if p["in"] == "query"}
    assert set(act.params) <= known
    if body := operations[0].get("requestBody"):
        schema = body["content"]["application/json"]["schema"]
        holds({**schema, "components": spec["components"]}, act.body)


def specification(vendor: str) -> dict[str, Any]:
    """Return a vendor's specification, or skip the test where it is not at hand."""
    paths = [folder / f"{vendor}.min.json" for folder in SPECS]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        pytest.skip("the specification is not beside the project")
    return dict(json.loads(path.read_text(encoding="utf-8")))


def holds(schema: dict[str, Any], document: Any) -> None:
    """Hold a document against a schema of an OpenAPI specification."""
    jsonschema.Draft202012Validator(plain(schema)).validate(document)


def plain(node: Any) -> Any:
    """Turn OpenAPI 3.0 into JSON Schema; `nullable` becomes a type, and overlapping `oneOf`s may overlap."""
    if isinstance(node, list):
        return [plain(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    made = {key: plain(value) for key, value in node.items() if key not in ("nullable", "example")}
    if isinstance(made.get("oneOf"), list):
        made["anyOf"] = made.pop("oneOf")
    return {"anyOf": [made, {"type": "null"}]} if node.get("nullable") is True else made
