"""Every notebook, now and later, is held to the shape that a tired person can read."""

from __future__ import annotations

import ast
import json
import re
import statistics
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from opslib import catalog, changes, metadata, parameters
from opslib.runner.request import CELL_TIMEOUT_S

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))
MAY_BE_LEFT_OUT = {"cell_minutes", "usual"}
FORBIDDEN = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Try, ast.TryStar, ast.Lambda)
MOST_LINES = 12
TITLE_CARD_WORDS = 220

Cell = dict[str, Any]


def read(path: Path) -> dict[str, Any]:
    """Return the notebook as JSON."""
    return dict(json.loads(path.read_text(encoding="utf-8")))


def source(cell: Cell) -> str:
    """Return a cell's source as one string."""
    text = cell["source"]
    return text if isinstance(text, str) else "".join(text)


def code(notebook: dict[str, Any]) -> list[Cell]:
    """Return the code cells."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def lines(cell: Cell) -> int:
    """Return how many lines of a cell are not blank."""
    return sum(bool(line.strip()) for line in source(cell).splitlines())


def tags(cell: Cell) -> list[str]:
    """Return a cell's tags."""
    return list(cell["metadata"].get("tags", []))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    """Each notebook in turn."""
    return Path(request.param)


def test_there_are_notebooks() -> None:
    """Otherwise everything below would pass for nothing."""
    assert len(NOTEBOOKS) >= 6


def test_whoever_writes_one_is_told_of_each_key() -> None:
    """What nobody finds in the guide is never set."""
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", guide, re.MULTILINE) == list(metadata.KEYS)


def test_its_metadata_is_whole(path: Path) -> None:
    """The catalogue, the router and the README are made from it."""
    meta = read(path)["metadata"]["opslib"]
    assert set(meta) | MAY_BE_LEFT_OUT == set(metadata.KEYS)
    assert meta["id"] == path.stem
    assert meta["symptoms"] and all(isinstance(symptom, str) for symptom in meta["symptoms"])
    assert date.fromisoformat(meta["reviewed"])
    assert meta["owner"] and 0 < meta["minutes"] <= 60


def test_no_cell_is_cut_off_while_a_change_may_still_show(path: Path) -> None:
    """A redeployment takes ten minutes, and whoever stops waiting after two knows nothing of it."""
    notebook = read(path)
    found = [node for cell in code(notebook) for node in ast.walk(ast.parse(source(cell)))]
    of_changes = [
        node for node in found if isinstance(node, ast.ImportFrom) and node.module == "opslib.changes"
    ]
    kinds = {alias.name for node in of_changes for alias in node.names} & set(changes.names())
    allowed = 60 * notebook["metadata"]["opslib"].get("cell_minutes", 0) or CELL_TIMEOUT_S
    assert not {kind for kind in kinds if allowed <= changes.load(kind).PATIENCE_S}


def test_its_title_is_the_heading_of_its_first_cell(path: Path) -> None:
    """What the list shows is what the page says."""
    notebook = read(path)
    first = notebook["cells"][0]
    assert first["cell_type"] == "markdown"
    assert source(first).splitlines()[0] == f"# {notebook['metadata']['opslib']['title']}"
    assert len(source(first).split()) <= TITLE_CARD_WORDS
    assert "|" in source(first), "the title card has a decision table"


def test_it_is_kept_without_outputs(path: Path) -> None:
    """Outputs belong to records, not to git."""
    for cell in code(read(path)):
        assert not cell["outputs"] and cell["execution_count"] is None


def test_each_code_cell_follows_a_sentence(path: Path) -> None:
    """A reader learns what good looks like before the code; only start may follow the parameters."""
    cells = read(path)["cells"]
    for before, cell in pairwise(cells):
        if cell["cell_type"] == "code" and before["cell_type"] == "code":
            assert "parameters" in tags(before), source(cell)


def test_its_cells_are_short_and_plain(path: Path) -> None:
    """No machinery in a notebook: it lives in opslib, where it is tested."""
    cells = code(read(path))
    body = [cell for cell in cells if "parameters" not in tags(cell)]
    assert max(lines(cell) for cell in cells) <= MOST_LINES
    assert statistics.median(lines(cell) for cell in body) <= 3
    for cell in cells:
        tree = ast.parse(source(cell))
        assert not [node for node in ast.walk(tree) if isinstance(node, FORBIDDEN)], source(cell)
        loops = [node for node in ast.walk(tree) if isinstance(node, ast.For | ast.While)]
        assert not [n for loop in loops for n in ast.walk(loop) if n is not loop and n in loops]


def test_its_parameters_can_be_read_checked_and_explained(path: Path) -> None:
    """The parameters cell is the only source for the form, --help and the check."""
    cells = code(read(path))
    assert [index for index, cell in enumerate(cells) if "parameters" in tags(cell)] == [0]
    found = parameters.read(source(cells[0]))
    assert [p.name for p in found[:2]] == ["system", "environment"]
    assert found[1].default == "sandbox"
    assert all(parameter.help for parameter in found)
    changes = read(path)["metadata"]["opslib"]["changes"]
    assert not changes or {"dry_run", "approval"} <= {p.name for p in found}


def test_it_starts_under_its_own_name_and_ends_with_the_verdict(path: Path) -> None:
    """`start` gives the banner, `finish` the typed result."""
    cells = code(read(path))
    assert f'start("{path.stem}", system=system, environment=environment' in source(cells[1])
    assert source(cells[-1]).strip().endswith("ops.finish()")


def test_its_links_lead_somewhere(path: Path) -> None:
    """A dead link at night costs more than no link."""
    for cell in read(path)["cells"]:
        if cell["cell_type"] == "markdown":
            for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", source(cell)):
                assert target.startswith("http") or (path.parent / target).exists(), target


def test_the_procedures_that_come_next_exist(path: Path) -> None:
    """`next` in the metadata is what the router and the record offer."""
    known = {procedure.id for procedure in catalog.load(ROOT / "notebooks").procedures}
    assert set(read(path)["metadata"]["opslib"]["next"]) <= known


def test_its_cells_have_ids_and_its_kernel_is_plain(path: Path) -> None:
    """nbformat 4.5, so that edits can be told apart; the stock kernel name runs anywhere."""
    notebook = read(path)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len(set(ids)) == len(ids)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
