"""`opslib new` writes two files that work as they are."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from opslib import catalog, scaffold
from opslib.errors import UsageError
from opslib.sandbox import control
from opslib.verdict import Status
from tests import test_notebooks
from tests.conftest import ROOT, Rehearsal


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Path]:
    """A new procedure's notebook and scenario file."""
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    return scaffold.new_procedure(
        "queue-backlog", "diagnose", notebooks=notebooks, scenarios=tmp_path / "scenarios"
    )


def shapes() -> list[str]:
    """Return the names of all tests that hold one notebook to its shape."""
    tests = inspect.getmembers(test_notebooks, inspect.isfunction)
    return [
        name
        for name, test in tests
        if name.startswith("test_") and "path" in inspect.signature(test).parameters
    ]


@pytest.mark.parametrize("name", shapes())
def test_the_new_notebook_has_the_shape_that_every_notebook_has(made: tuple[Path, Path], name: str) -> None:
    """Whoever begins a procedure begins with one that passes."""
    getattr(test_notebooks, name)(made[0])


def test_the_catalogue_finds_it_and_its_links_lead_to_the_others(tmp_path: Path) -> None:
    """Among real notebooks, so that there is something to link to."""
    folder = tmp_path / "notebooks"
    for path in (ROOT / "notebooks").rglob("*.ipynb"):
        copy = folder / path.relative_to(ROOT / "notebooks")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    notebook, _ = scaffold.new_procedure(
        "queue-backlog", "diagnose", notebooks=folder, scenarios=tmp_path / "s"
    )
    assert catalog.load(folder).get("queue-backlog").title == "Queue backlog"
    assert "](" in notebook.read_text(encoding="utf-8")
    test_notebooks.test_its_links_lead_somewhere(notebook)


def test_its_scenario_says_what_must_be_found(made: tuple[Path, Path]) -> None:
    """It can be imported as it is."""
    (scenario,) = _module(made[1]).SCENARIOS
    assert scenario.id == "queue-backlog-silent"
    assert scenario.expects == {"queue-backlog": (Status.UNKNOWN, "")}


def test_it_runs_and_tells_a_healthy_app_from_a_silent_one(
    made: tuple[Path, Path], sandbox: Rehearsal, tmp_path: Path
) -> None:
    """Ok when all is well; unknown, and not ok, when nothing answers."""
    assert _run(made[0], tmp_path) == ("ok", 0)
    control.break_("app-down", "klutr")
    assert _run(made[0], tmp_path) == ("unknown", 3)


@pytest.mark.parametrize("name", ["Queue", "queue_backlog", "../queue", "", "-queue"])
def test_a_name_that_cannot_be_a_command_is_refused(name: str, tmp_path: Path) -> None:
    """And nothing is written."""
    with pytest.raises(UsageError, match="no name for a procedure"):
        scaffold.new_procedure(name, "diagnose", notebooks=tmp_path, scenarios=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_is_never_overwritten(made: tuple[Path, Path]) -> None:
    """Work on a procedure cannot be lost by typing `new` again."""
    before = made[0].read_bytes()
    with pytest.raises(UsageError, match="there is a procedure queue-backlog already"):
        scaffold.new_procedure(
            "queue-backlog", "other", notebooks=made[0].parents[1], scenarios=made[1].parent
        )
    assert made[0].read_bytes() == before


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _run(notebook: Path, folder: Path) -> tuple[str, int]:
    own = {"OPSLIB_NOTEBOOKS": str(notebook.parents[1]), "OPSLIB_ARCHIVE": str(folder / "archive")}
    words = [
        sys.executable,
        "-m",
        "opslib",
        "run",
        notebook.stem,
        "--system",
        "klutr",
        "--env",
        "sandbox",
        "--json",
    ]
    done = subprocess.run(
        words, cwd=ROOT, env={**os.environ, **own}, capture_output=True, text=True, timeout=120, check=False
    )
    return json.loads(done.stdout)["verdict"], done.returncode
