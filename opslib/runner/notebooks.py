"""Read a notebook, give it its parameters, write it in papermill's format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opslib.runner.imports import quick
from opslib.runner.request import Ending

Notebook = Any


def prepared(path: Path, given: Mapping[str, Any]) -> Notebook:
    """Return a notebook ready to run, with the given parameters in a cell of their own.

    Args:
        path: the source notebook.
        given: name -> typed value; put in by papermill, as literals.
    """
    with quick():
        import nbformat
        from papermill.parameterize import parameterize_notebook

    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["papermill"] = {}
    for cell in notebook.cells:
        cell.metadata["papermill"] = _times(None, None, "pending")
        cell.metadata.setdefault("tags", [])
    notebook = parameterize_notebook(notebook, dict(given), kernel_name="python3", language="python")
    begun = datetime.now(UTC).isoformat()
    notebook.metadata["papermill"].update(
        input_path=path.name,
        parameters=dict(given),
        environment_variables={},
        version=_papermill_version(),
        start_time=begun,
        end_time=None,
        duration=None,
        exception=None,
    )
    return notebook


def close(notebook: Notebook, ending: Ending) -> None:
    """Write the end of the execution into the notebook's metadata."""
    meta = notebook.metadata["papermill"]
    ended = datetime.now(UTC)
    meta["end_time"] = ended.isoformat()
    meta["duration"] = (ended - datetime.fromisoformat(meta["start_time"])).total_seconds()
    meta["exception"] = True if ending.cause else None


def plain(notebook: Notebook) -> dict[str, Any]:
    """Return a notebook as plain JSON."""
    found: dict[str, Any] = json.loads(json.dumps(notebook, default=str))
    return found


def _times(start: str | None, end: str | None, status: str) -> dict[str, Any]:
    return {"start_time": start, "end_time": end, "duration": None, "status": status, "exception": None}


def _papermill_version() -> str:
    from importlib.metadata import version

    return version("papermill")
