"""Small notebooks for tests of the machinery around them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from opslib import catalog
from opslib.catalog import Procedure
from opslib.runner.request import Request

PARAMETERS = 'system: str = "klutr"  # the system\nenvironment: str = "production"  # its environment\n'


def verdict(status: str, cause: str = "") -> str:
    """Return the code of a cell that displays a typed result."""
    found = {
        "check": "slots", "status": status, "subject": "", "observed": "1", "limit": "", "expected": "few",
        "why": "because", "next": "", "key": "slots",
    }  # fmt: skip
    causes = [{"id": cause, "text": "it is so"}] if cause else []
    result = {
        "schema": 1, "verdict": status, "cause": causes[0] if causes else None, "causes": causes,
        "findings": [found], "next": [], "plan": None, "changed": [], "calls": [],
    }  # fmt: skip
    data = json.dumps({"application/vnd.opslib.run+json": result, "text/plain": status})
    return f"import json\nfrom IPython.display import display\ndisplay(json.loads({data!r}), raw=True)"


def procedure(folder: Path, *cells: str, name: str = "small") -> Procedure:
    """Write a notebook with the given code cells and return it as a procedure."""
    meta = {
        "id": name, "title": "Small", "symptoms": ["none"], "severity": "none", "owner": "tests",
        "changes": False, "needs": {}, "systems": "all", "minutes": 1, "idempotent": True,
        "reviewed": "2026-11-21", "next": [], "controls": [],
    }  # fmt: skip
    sources = [PARAMETERS, *cells]
    codes = [_code(f"c{number}", source, number == 0) for number, source in enumerate(sources)]
    first = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# Small"}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {
        "cells": [first, *codes], "nbformat": 4, "nbformat_minor": 5,
        "metadata": {"opslib": meta, "kernelspec": kernel, "language_info": {"name": "python"}},
    }  # fmt: skip
    path = folder / "monitor" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return catalog.read(path)


def request(folder: Path, *cells: str, **options: Any) -> Request:
    """Return a request for a notebook with the given code cells, with its archive beside it."""
    return Request(
        procedure(folder / "notebooks", *cells),
        "klutr",
        "production",
        {},
        archive=folder / "archive",
        **options,
    )


def _code(name: str, source: str, parameters: bool) -> dict[str, Any]:
    tags = {"tags": ["parameters"]} if parameters else {}
    cell = {"cell_type": "code", "id": name, "metadata": tags, "source": source}
    return {**cell, "outputs": [], "execution_count": None}
