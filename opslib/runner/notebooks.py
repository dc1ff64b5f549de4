"""Read a notebook, give it its parameters, write it in papermill's format."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from opslib.masking import Masker
from opslib.runner import source
from opslib.runner.request import ERROR_TAG, Ending

_HEADING = re.compile(r"#{1,6} \S")
_ANCHOR = "papermill-error-cell"

Notebook = Any


def prepared(path: Path, given: Mapping[str, Any]) -> Notebook:
    """Return a notebook ready to run, with the given parameters in a cell of their own.

    Args:
        path: the source notebook.
        given: name -> typed value; put in by papermill, as literals.

    Raises:
        ProcedureError: the file is not a notebook.
    """
    notebook = source.read(path)
    notebook.metadata["papermill"] = {}
    unexecuted(notebook)
    source.inject(notebook, given)
    begun = datetime.now(UTC).isoformat()
    notebook.metadata["papermill"].update(
        input_path=path.name,
        environment_variables={},
        version=_papermill_version(),
        start_time=begun,
        end_time=None,
        duration=None,
        exception=None,
    )
    return notebook


def under(cells: Sequence[Any], index: int) -> str:
    """Return the heading under which a cell stands, after a colon; empty where there is none."""
    texts = (str(cell.source) for cell in reversed(cells[:index]) if cell.cell_type == "markdown")
    lines = (line for text in texts for line in reversed(text.splitlines()))
    found = next((line for line in lines if _HEADING.match(line)), "")
    return f": {found.lstrip('# ').rstrip()}" if found else ""


def unexecuted(notebook: Notebook) -> None:
    """Take out of a notebook what an execution has left in it."""
    notebook.cells = [cell for cell in notebook.cells if ERROR_TAG not in cell.metadata.get("tags", ())]
    for cell in notebook.cells:
        _clear(cell)
        cell.metadata["papermill"] = _times(None, None, "pending")
        cell.metadata.setdefault("tags", [])


def empty() -> dict[str, Any]:
    """Return what stands for a notebook that cannot be read: one without cells, as plain JSON."""
    return {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def close(notebook: Notebook, ending: Ending) -> None:
    """Write the end of the execution into the notebook, with papermill's marks where a cell broke."""
    meta = notebook.metadata["papermill"]
    ended = datetime.now(UTC)
    meta["end_time"] = ended.isoformat()
    meta["duration"] = (ended - datetime.fromisoformat(meta["start_time"])).total_seconds()
    meta["exception"] = True if ending.cause else None
    broken = [cell.metadata.get("papermill", {}).get("exception") is True for cell in notebook.cells]
    if any(broken):
        _mark(notebook.cells, broken.index(True))


def plain(notebook: Notebook) -> dict[str, Any]:
    """Return a notebook as plain JSON."""
    found: dict[str, Any] = json.loads(json.dumps(notebook, default=str))
    return found


def masked(notebook: Notebook, masker: Masker) -> dict[str, Any]:
    """Return a notebook as plain JSON without secrets, also those that were printed piece by piece."""
    found = plain(notebook)
    outputs = [output for cell in found["cells"] for output in cell.get("outputs", ())]
    for name in ("stdout", "stderr"):
        pieces = [o for o in outputs if o["output_type"] == "stream" and o["name"] == name]
        texts = masker.mask_pieces([_text(piece["text"]) for piece in pieces])
        for piece, text in zip(pieces, texts, strict=True):
            piece["text"] = text
    for bundle in _bundles(found):
        for mime, content in bundle.items():
            bundle[mime] = masker.mask_content(mime, _joined(mime, content))
    without: dict[str, Any] = masker.mask_json(found)
    return without


def _bundles(notebook: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what a notebook shows in several forms at once: outputs, and pictures beside its words."""
    for cell in notebook["cells"]:
        yield from (output["data"] for output in cell.get("outputs", ()) if "data" in output)
        yield from (cell.get("attachments") or {}).values()


def _joined(mime: str, content: Any) -> Any:
    """Return text that was given line by line as one: who shows it joins the lines, secrets too."""
    lines = isinstance(content, list) and all(isinstance(line, str) for line in content)
    return "".join(content) if lines and not mime.endswith("json") else content


def _clear(cell: Any) -> None:
    """Take away what an earlier execution left: a cell that is not reached must not look as if it were."""
    if cell.cell_type == "code":
        cell.outputs = []
        cell.execution_count = None


def _mark(cells: list[Any], broken: int) -> None:
    from nbformat import v4

    number = cells[broken].execution_count
    there = f'This run stopped with an error at <a href="#{_ANCHOR}">In [{number or " "}]</a>.'
    here = f'<span id="{_ANCHOR}">The run stopped in the next cell:</span>'
    for index, words in ((broken, here), (0, there)):
        cells.insert(index, v4.new_markdown_cell(words, metadata={"tags": [ERROR_TAG]}))


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "".join(value)


def _times(start: str | None, end: str | None, status: str) -> dict[str, Any]:
    return {"start_time": start, "end_time": end, "duration": None, "status": status, "exception": None}


@cache
def _papermill_version() -> str:
    from importlib.metadata import version

    return version("papermill")
