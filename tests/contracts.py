"""What vendors have promised: requests and simulated answers, held against their specifications.

`test_contracts` has Prism hold all of them. This is for where there is no npm, and for names in a query that
a vendor does not know, which Prism lets go by.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from opslib.acts import Request

# Vendors' own files are large and lie beside the project; here is what was written from a vendor's source,
# and what a vendor's own file leaves out.
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
    operation = spec["paths"][_path(spec, act.method, act.path)][act.method.lower()]
    assert set(act.params) <= query_of(vendor, act.method, act.path)
    if body := operation.get("requestBody"):
        schema = body["content"]["application/json"]["schema"]
        holds({**schema, "components": spec["components"]}, act.body)


def query_of(vendor: str, method: str, path: str) -> set[str]:
    """Return the names that an operation of a vendor takes in its query."""
    spec = specification(vendor)
    place = spec["paths"][_path(spec, method, path)]
    listed = [*place.get("parameters", []), *place[method.lower()].get("parameters", [])]
    shared = spec.get("components", {}).get("parameters", {})
    whole = [shared[one["$ref"].rpartition("/")[2]] if "$ref" in one else one for one in listed]
    return {one["name"] for one in whole if one["in"] == "query"}


def _path(spec: dict[str, Any], method: str, path: str) -> str:
    """Return the path of the specification that a request is for: the least open one that fits."""
    there = [p for p, methods in spec["paths"].items() if method.lower() in methods]
    fits = [p for p in there if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", p), path)]
    assert fits, f"{method} {path} is no operation of the specification"
    return str(min(fits, key=lambda p: p.count("{")))


@cache
def specification(vendor: str) -> dict[str, Any]:
    """Return a vendor's specification, with what it leaves out, or skip the test where it is not at hand."""
    whole: dict[str, Any] = {}
    for kind in ("min", "hand", "more"):
        for path in (folder / f"{vendor}.{kind}.json" for folder in SPECS):
            whole = merged(whole, json.loads(path.read_text(encoding="utf-8"))) if path.exists() else whole
    if "openapi" not in whole:
        pytest.skip(f"the specification of {vendor} is not beside the project")
    return whole


def merged(one: Any, other: Any) -> Any:
    """Return one document with what another one adds to it."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return other
    return {**one, **{key: merged(one.get(key), value) for key, value in other.items()}}


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
