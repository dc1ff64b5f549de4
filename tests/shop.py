"""A small project of its own for a test: one system, a few notebooks, a home and an archive."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from opslib import __main__ as shell

SYSTEM = """title: Shop
owner: on-call
environments:
  production:
    base_url: {url}
health:
  - {{name: front, path: /}}
routines:
  daily:
    source: our own list
    items:
      - {{id: warm, title: Is it warm?, procedure: too-warm}}
      - {{id: later, title: Is it dry?, procedure: too-wet}}
      - {{id: rows, title: Are the rows well?, procedure: needs-database}}
      - {{id: tickets, title: Read the support tickets, by: person}}
  weekly:
    source: our own list
    items:
      - {{id: rows, title: Are the rows well?, procedure: needs-database}}
"""
PARAMETERS = """system: str = "shop"  # which system
environment: str = "sandbox"  # which of its environments
degrees: int = 20  # what the thermometer says, 0-99"""
START = 'from opslib import start\n\nops = start("{id}", system=system, environment=environment)'
CHECK = """ops.check.below(degrees, check="temperature", warning=30, critical=40, expected="below 30")"""


@dataclass(frozen=True)
class Project:
    """Where the test's files are."""

    root: Path

    @property
    def archive(self) -> Path:
        """Folder of the records."""
        return self.root / "archive"

    @property
    def home(self) -> Path:
        """OPSLIB_HOME."""
        return self.root / "home"

    @property
    def notebooks(self) -> Path:
        """Folder of the notebooks."""
        return self.root / "notebooks"

    @property
    def kernels_started(self) -> bool:
        """Whether any run ever got as far as its spool or its record."""
        spool = self.home / "spool"
        return (self.archive / "runs").exists() or (spool.exists() and any(spool.iterdir()))

    def opslib(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command line in a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "opslib", *words],
            cwd=self.root,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def here(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command line in this process, through the outermost shell."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            shell.main(words)
        return subprocess.CompletedProcess(words, int(ended.value.code or 0), out.getvalue(), err.getvalue())

    def schedule(self, text: str) -> None:
        """Write parameters/schedule.yml."""
        (self.root / "parameters" / "schedule.yml").write_text(text, encoding="utf-8")


def build(root: Path, monkeypatch: pytest.MonkeyPatch, url: str = "http://127.0.0.1:9") -> Project:
    """Write the project and point this process, and those it starts, at it."""
    project = Project(root)
    (root / "parameters" / "systems").mkdir(parents=True)
    (root / "parameters" / "systems" / "shop.yml").write_text(SYSTEM.format(url=url), encoding="utf-8")
    write_notebook(project.notebooks / "monitor" / "too-warm.ipynb")
    write_notebook(project.notebooks / "monitor" / "needs-database.ipynb", needs={"database": True})
    _pointed_at(project, monkeypatch)
    return project


def copied(made: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Copy a project with all that it has left, and point this process at the copy."""
    shutil.copytree(made, root, symlinks=True, dirs_exist_ok=True)
    project = Project(root)
    _pointed_at(project, monkeypatch)
    return project


def _pointed_at(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {
        "OPSLIB_HOME": project.home,
        "OPSLIB_ARCHIVE": project.archive,
        "OPSLIB_PARAMETERS": project.root / "parameters",
        "OPSLIB_NOTEBOOKS": project.notebooks,
    }
    for name, path in names.items():
        monkeypatch.setenv(name, str(path))
    monkeypatch.setenv("OPSLIB_ENV", "production")
    monkeypatch.setenv("NO_COLOR", "1")


def begun(project: Project) -> bool:
    """Return whether a run in progress has shown its banner."""
    saved = list((project.home / "spool").glob("*/run.ipynb"))
    return bool(saved) and "opslib-banner" in saved[0].read_text(encoding="utf-8")


def write_notebook(path: Path, **changes: Any) -> None:
    """Write a notebook that compares its parameter `degrees` with 30 and 40."""
    procedure = path.stem
    meta: dict[str, Any] = {
        "id": procedure,
        "title": procedure.replace("-", " ").capitalize(),
        "symptoms": ["fan failure"],
        "severity": "P2",
        "owner": "on-call",
        "changes": False,
        "needs": {},
        "systems": "all",
        "minutes": 1,
        "idempotent": True,
        "reviewed": "2026-11-21",
        "next": [],
        "controls": [],
        **changes,
    }
    cells = [
        _cell("markdown", f"# {meta['title']}"),
        _cell("code", PARAMETERS, ["parameters"]),
        _cell("code", START.format(id=procedure)),
        _cell("markdown", "Good: below 30 degrees."),
        _cell("code", CHECK),
        _cell("code", "ops.finish()"),
    ]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {"cells": cells, "metadata": {"kernelspec": kernel, "opslib": meta}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**whole, "nbformat": 4, "nbformat_minor": 5}), encoding="utf-8")


def _cell(kind: str, source: str, tags: list[str] | None = None) -> dict[str, Any]:
    common = {"cell_type": kind, "metadata": {"tags": tags or []}, "source": source}
    return common if kind == "markdown" else {**common, "execution_count": None, "outputs": []}
