"""What the notebook itself was given: the values of its parameters, and which code it is."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from typing import Any

from opslib import catalog
from opslib.errors import ProcedureError

# What names the run rather than the work; not part of what a plan's parameters are.
OF_THE_RUN = ("system", "environment", "dry_run", "approval")


def of_caller(depth: int) -> Mapping[str, Any]:
    """Return the global variables of the notebook's cell, `depth` calls above."""
    return sys._getframe(depth + 1).f_globals


def parameters(procedure: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the procedure's own parameters as the notebook holds them now.

    Raises:
        UnknownName: there is no such procedure.
        ParameterError: the notebook holds a value that its declaration does not allow.
    """
    declared = catalog.load().get(procedure)
    own = {p.name: values.get(p.name, p.default) for p in declared.parameters if p.name not in OF_THE_RUN}
    return declared.parse({name: value for name, value in own.items() if value is not None})


def untold(procedure: str, values: Mapping[str, Any]) -> list[str]:
    """Return the parameters that would choose something and say nothing: empty texts and lists, and no.

    Raises:
        UnknownName: there is no such procedure.
    """
    declared = [p for p in catalog.load().get(procedure).parameters if p.name not in OF_THE_RUN]
    choosing = [p for p in declared if p.type not in ("int", "float") and not p.default]
    return [p.name for p in choosing if not values.get(p.name)]


def digest(procedure: str) -> str:
    """Return SHA-256 over the code of a procedure's notebook, without outputs and text.

    The parameters cell is left out: in JupyterLab it is edited to apply what was approved, and the
    values that it gives are in the plan by themselves.

    Raises:
        ProcedureError: the notebook cannot be read.
    """
    path = catalog.load().get(procedure).path
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError) as error:
        raise ProcedureError(f"{path}: the notebook cannot be read") from error
    code = [_text(cell["source"]) for cell in cells if cell["cell_type"] == "code" and not _given(cell)]
    return f"sha256:{hashlib.sha256(json.dumps(code).encode()).hexdigest()}"


def _given(cell: Mapping[str, Any]) -> bool:
    return bool({"parameters", "injected-parameters"} & set(cell.get("metadata", {}).get("tags", ())))


def _text(source: Any) -> str:
    return source if isinstance(source, str) else "".join(source)
