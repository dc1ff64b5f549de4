"""What a command imports, and that leaving parts out changes nothing of what it does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from opslib.runner import source
from tests import small

PROJECT = Path(__file__).parents[1]
VALUES: tuple[dict[str, Any], ...] = (
    {"system": "klutr", "environment": "sandbox"},
    {"text": "a 'quote', \"another\", a \\ and a\nnew line, ünïcode"},
    {"number": -3, "share": 0.25, "none": None, "yes": True, "no": False},
    {"far": float("inf"), "names": ["a", "b"], "deep": {"a": [1, {"b": None}]}},
    {},
)


def _papermills(path: Path, given: Mapping[str, Any]) -> Any:
    """Return the notebook as papermill itself parameterizes it."""
    import nbformat
    from papermill.parameterize import parameterize_notebook

    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["papermill"] = {}
    for cell in notebook.cells:
        cell.metadata.setdefault("tags", [])
    return parameterize_notebook(notebook, dict(given), kernel_name="python3", language="python")


def _ours(path: Path, given: Mapping[str, Any]) -> Any:
    notebook = source.read(path)
    notebook.metadata["papermill"] = {}
    for cell in notebook.cells:
        cell.metadata.setdefault("tags", [])
    source.inject(notebook, given)
    return notebook


def _without_new_ids(notebook: Any, known: set[str]) -> Any:
    found = json.loads(json.dumps(notebook))
    for cell in found["cells"]:
        if cell["id"] not in known:
            cell["id"] = "new"
    return found


def _said(code: str, **environment: str) -> list[str]:
    """Run some code in a process of its own, and return the lines that it prints."""
    words, own = [sys.executable, "-c", code], {**os.environ, **environment}
    done = subprocess.run(words, capture_output=True, text=True, cwd=PROJECT, check=False, env=own)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def _file(folder: Path, *tags: str, minor: int = 5) -> Path:
    cells: list[dict[str, Any]] = [
        {"cell_type": "markdown", "id": "title", "metadata": {}, "source": ["# A\n", "and b"]},
        *(
            {
                "cell_type": "code",
                "id": f"code-{number}",
                "metadata": {"tags": [tag]},
                "source": f"x = {number}",
                "outputs": [],
                "execution_count": None,
            }
            for number, tag in enumerate(tags)
        ),
    ]
    if minor < 5:
        cells = [{key: value for key, value in cell.items() if key != "id"} for cell in cells]
    path = folder / "small.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": minor}))
    return path


@pytest.mark.parametrize("given", VALUES, ids=range(len(VALUES)))
@pytest.mark.parametrize(
    "tags", [("parameters",), ("x", "parameters", "x"), (), ("parameters", "injected-parameters")]
)
def test_parameters_stand_where_and_as_papermill_puts_them(
    given: dict[str, Any], tags: tuple[str, ...], tmp_path: Path
) -> None:
    """papermill itself is not imported for it, so its own result is what ours is held against."""
    path = _file(tmp_path, *tags)
    known = {cell["id"] for cell in json.loads(path.read_text())["cells"]}
    assert _without_new_ids(_ours(path, given), known) == _without_new_ids(_papermills(path, given), known)


def test_an_older_notebook_is_brought_up_to_date(tmp_path: Path) -> None:
    """As papermill does it."""
    path = _file(tmp_path, "parameters", minor=4)
    ours, theirs = _ours(path, {"a": 1}), _papermills(path, {"a": 1})
    assert _without_new_ids(ours, set()) == _without_new_ids(theirs, set())
    assert all(cell["id"] for cell in ours.cells)


@pytest.mark.filterwarnings("ignore::nbformat.warnings.DuplicateCellId")
def test_cells_of_one_name_get_names_of_their_own(tmp_path: Path) -> None:
    """The record would not be a valid notebook otherwise."""
    path = _file(tmp_path, "parameters", "x")
    path.write_text(path.read_text().replace("code-1", "code-0"))
    names = [cell["id"] for cell in source.read(path).cells]
    assert len(set(names)) == len(names) == 3


def test_papermill_is_whole_for_whoever_imports_it_later(tmp_path: Path) -> None:
    """A run takes one of its modules and leaves the rest alone."""
    path = _file(tmp_path, "parameters")
    code = (
        "import json, sys; from pathlib import Path; from opslib.runner import notebooks\n"
        f"notebooks.prepared(Path({str(path)!r}), {{'a': 1}})\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'papermill']\n"
        "import papermill; assert papermill.execute_notebook and papermill.translators"
    )
    assert _said(code) == []


def test_what_was_hidden_for_an_import_can_be_imported_after_it() -> None:
    """JupyterLab in the same process has its checks."""
    code = (
        "from opslib.runner.imports import quick\n"
        "with quick():\n"
        "    import jsonschema, nbformat\n"
        "    try:\n"
        "        import isoduration\n"
        "    except ImportError:\n"
        "        print('hidden')\n"
        "import isoduration, webcolors; print('there')"
    )
    assert _said(code) == ["hidden", "there"]


HEAVY = (
    "IPython", "aiohttp", "httpx", "ipykernel.kernelapp", "isoduration", "jupyter_server", "matplotlib",
    "nbconvert", "numpy", "pandas", "papermill", "psycopg", "requests", "rfc3987_syntax",
)  # fmt: skip
RUN = ("nbclient", "nbformat", "pydantic", "pygments", "zmq")


def loaded(words: list[str], *more: str, **environment: str) -> set[str]:
    """Run a command in a process of its own, and return what of the heavy modules it has then."""
    code = (
        "import contextlib, io, sys; from opslib.__main__ import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        f"    main({words!r})\n"
        f"print(*[name for name in {(*HEAVY, *more)!r} if name in sys.modules])"
    )
    return set(_said(code, **environment)[-1].split())


@pytest.mark.parametrize(
    "words",
    [["--help"], ["list"], ["list", "too many clients"], ["run", "--help"], ["run", "nope", "-s", "a"]],
)
def test_a_command_that_runs_nothing_imports_nothing_for_it(words: list[str]) -> None:
    """They answer at once, on any machine."""
    assert not loaded(words, "nbclient", "nbformat", "zmq")


def test_help_imports_no_more_than_its_words_need() -> None:
    """Not even what reads the systems' files."""
    assert not loaded(["--help"], *RUN, "asyncio", "rich", "yaml")


def test_a_run_imports_what_drives_the_kernel_and_not_what_works_in_it(tmp_path: Path) -> None:
    """pandas and matplotlib are the kernel's; papermill has its own command."""
    small.procedure(tmp_path / "notebooks", "print(1)", small.verdict("ok"))
    given = {
        "OPSLIB_NOTEBOOKS": str(tmp_path / "notebooks"),
        "OPSLIB_HOME": str(tmp_path / "home"),
        "OPSLIB_ARCHIVE": str(tmp_path / "archive"),
    }
    assert loaded(["run", "small", "-s", "klutr", "-e", "production"], *RUN, **given) == set(RUN)
    assert len(list((tmp_path / "archive").glob("runs/*/*/*/*/run.html"))) == 1


def test_whoever_moves_rows_by_a_plan_waits_for_no_frames() -> None:
    """The longest part of its start would be pandas, which only a look at a page needs."""
    code = (
        "import sys; from opslib.changes import archiving; from opslib.gate import apply, making, undo\n"
        "from opslib.pg import database; import opslib.cli.changes\n"
        "print(*[name for name in ('numpy', 'pandas') if name in sys.modules])"
    )
    assert _said(code) == [""]


def test_who_has_a_run_done_elsewhere_imports_next_to_nothing() -> None:
    """What a fork has already, its caller would load in vain."""
    code = (
        "import sys; from opslib.kernels import errand; import opslib.__main__\n"
        "print(*[name for name in ('asyncio', 'click', 'pydantic', 'rich', 'zmq') if name in sys.modules])"
    )
    assert _said(code) == [""]


SAME = """
import json
from jupyter_client.jsonutil import extract_dates
from nbformat import ValidationError, v4
def said(kind, **parts):
    try:
        return dict(v4.new_output(kind, **parts))
    except ValidationError as error:
        return str(error)
def all_of_them():
    return [
        said("stream", name="stdout", text="a"), said("stream", name="stdout", text=5),
        said("stream", name="stdout", text="a", more=1), said("display_data", data={"text/html": ["a", "b"]}),
        said("display_data", data={"text/html": {"a": 1}}),
        said("display_data", data={"application/json": {"a": 1}}),
        said("execute_result", execution_count="x"), said("error", ename="a", evalue=None),
        [date.isoformat() for date in extract_dates(["2026-11-21T01:02:03Z", "2026-11-21T01:02:03.4+05:30",
         "2026-11-21T01:02:03.456789-0530"])], extract_dates(["2026-11-21", "x"]),
    ]
before = all_of_them()
from opslib.runner import imports
imports.prepare()
print(json.dumps([before, all_of_them()]))
"""


def test_what_is_checked_and_read_in_less_time_comes_to_the_same() -> None:
    """An output that is not sound is refused in the same words, and a date is the same moment."""
    done = subprocess.run([sys.executable, "-c", SAME], capture_output=True, text=True, check=True)
    before, after = json.loads(done.stdout)
    assert before == after
    assert [isinstance(one, str) for one in before[:8]] == [False, True, True, False, True, False, True, True]
