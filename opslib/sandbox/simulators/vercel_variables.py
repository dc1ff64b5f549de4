"""Vercel's API as far as it is about environment variables: list, read, set, edit, remove."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from opslib.sandbox import variables
from opslib.sandbox.simulators import error
from opslib.sandbox.variables import TARGETS, TYPES, Variable, Variables

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = "VERCEL_"
_LONGEST_COMMENT = 500


def answer(found: Variables, method: str, rest: Sequence[str], request: Request, body: Any) -> Response:
    """Answer one request below `/projects/{id}/env`.

    Args:
        found: the project's variables; changed in place.
        method: HTTP method.
        rest: what follows `env` in the path: nothing, or the id of a variable.
        request: the query is read from it.
        body: the JSON that was sent.
    """
    if rest and rest[0] not in found:
        return error(404, "not_found", "The environment variable was not found")
    match (method, *rest):
        case ("GET",):
            return JSONResponse(variables.listing(found))
        case ("GET", name):
            return JSONResponse(variables.document(found[name], decrypt=True))
        case ("POST",):
            return _set(found, body, upsert=request.query_params.get("upsert") == "true")
        case ("PATCH", name):
            return _edit(found, found[name], body)
        case ("DELETE",):
            return _remove(found, body)
        case ("DELETE", name):
            return JSONResponse([variables.document(found.pop(name))])
    return error(405, "method_not_allowed", f"{method} is not allowed here")


def _set(found: Variables, body: Any, *, upsert: bool) -> Response:
    wanted = body if isinstance(body, list) else [body]
    if not all(_whole(entry) for entry in wanted):
        return _bad("Invalid request: should have key, value, type and target")
    there = [e["key"] for e in wanted if any(v.overlaps(e["key"], e["target"]) for v in found.values())]
    if there and not upsert:
        text = f"A variable with the name `{there[0]}` already exists for the target"
        return error(403, "ENV_ALREADY_EXISTS", text)
    refused = [entry for entry in wanted if entry["key"].startswith(_RESERVED)]
    created = [_put(found, entry) for entry in wanted if entry not in refused]
    # Vercel answers 201 to this too: only `failed` tells that something was not set.
    failed = [{"error": _reserved(entry["key"])} for entry in refused]
    shown = [variables.document(variable) for variable in created]
    one = shown[0] if shown and not isinstance(body, list) else shown
    return JSONResponse({"created": one, "failed": failed}, status_code=201)


def _put(found: Variables, entry: dict[str, Any]) -> Variable:
    now = int(time.time() * 1000)
    known = next((v for v in found.values() if v.overlaps(entry["key"], entry["target"])), None)
    identity, created = (known.id, known.created) if known else (secrets.token_hex(8), now)
    comment = entry.get("comment", known.comment if known else "")
    target = tuple(entry["target"])
    made = Variable(identity, entry["key"], entry["value"], entry["type"], target, created, now, comment)
    found[made.id] = made
    return made


def _edit(found: Variables, known: Variable, body: Any) -> Response:
    if not isinstance(body, dict) or not set(body) <= {"key", "value", "type", "target", "comment"}:
        return _bad("Invalid request: should not have additional property")
    changed = {**body, **({"target": tuple(body["target"])} if "target" in body else {})}
    edited = replace(known, **changed, updated=int(time.time() * 1000))
    if not _fits(edited) or (known.type == variables.SENSITIVE and edited.type != known.type):
        return _bad("Invalid request: the variable cannot be edited like this")
    found[known.id] = edited
    return JSONResponse(variables.document(edited))


def _remove(found: Variables, body: Any) -> Response:
    wanted = body.get("ids") if isinstance(body, dict) else None
    if not isinstance(wanted, list) or not wanted:
        return _bad("Invalid request: missing required property `ids`")
    gone = [name for name in wanted if found.pop(name, None)]
    return JSONResponse({"deleted": len(gone), "ids": gone})


def _whole(entry: Any) -> bool:
    if not isinstance(entry, dict) or not {"key", "value", "type", "target"} <= set(entry):
        return False
    comment = entry.get("comment", "")
    made = Variable("", entry["key"], entry["value"], entry["type"], tuple(entry["target"]), 0, 0, comment)
    return _fits(made)


def _fits(variable: Variable) -> bool:
    named = isinstance(variable.key, str) and _NAME.fullmatch(variable.key) is not None
    known = variable.type in TYPES and bool(variable.target) and set(variable.target) <= set(TARGETS)
    return named and known and isinstance(variable.value, str) and len(variable.comment) <= _LONGEST_COMMENT


def _reserved(name: str) -> dict[str, str]:
    return {"code": "RESERVED_ENV_VARIABLE", "key": name, "message": f"The name {name} is reserved"}


def _bad(message: str) -> Response:
    return error(400, "bad_request", message)
