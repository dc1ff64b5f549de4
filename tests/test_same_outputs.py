"""Every notebook of the catalogue shows on a forked kernel what it shows on a plain one, cell by cell."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from opslib import catalog, config
from opslib.catalog import Procedure
from opslib.kernels import client
from opslib.runner import attempt, results
from opslib.runner.request import Request
from opslib.sandbox import control

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")
ROOT = Path(__file__).parents[1]
PROCEDURES = {procedure.id: procedure for procedure in catalog.load(ROOT / "notebooks").procedures}
# Faults that bring long tables, a plan, and causes with them.
BROKEN = [
    ("app-500", "health-check", "klutr"),
    ("bad-feature", "feature-flags", "klutr"),
    ("bad-deploy", "site-down", "klutr"),
]
# Last cell of each run: the modules that the notebook found missing on its kernel.
MISSED = """import sys
from itertools import takewhile
from opslib.kernels import preload
print(*takewhile(lambda name: [name] != preload._last[:1], reversed(sys.modules)))"""
# What differs between any two runs, on whatever kernel.
VARYING = {
    "moment": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?",
    "run": r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}",
    "time": r"(?<![\w.])\d+(\.\d+)? (ms|s|min|h)\b",
    "statements counted": r"\d+ of \d+ places taken",
    "room on the disk": r"\d+( \d{3})* MB\b",
    "address": r"0x[0-9a-f]+|ipykernel_\d+",
}
STARTS_SERVERS = ("dr-drill",)
# The packages for S3 are there for those who name a bucket, and are imported when it is first asked.
ASKS_A_BUCKET = ("backup", "backup-check")
TIMES = {"ms", "p50", "p95", "p99", "worst", "seconds"}
MAGIC = 11  # so many characters of a PNG say that it is one
TABLE = re.compile(r"<table.*?</table>", re.S)
NUMBER = re.compile(r"<decimal>|(?<![\w.])\d+( \d{3})*(\.\d+)?(?![\w.])")
# Of a call, how long it took and what exactly was answered; calls go side by side.
OF_THE_MOMENT = {"ms", "digest", "at"}


@dataclass(frozen=True)
class Shown:
    """What a run came to.

    Args:
        verdict: with its cause and its findings.
        cells: of each code cell its number and its outputs: type, MIME types, text.
        forks: how many kernels were forked for it.
        missed: the modules that were imported in its kernel.
    """

    verdict: list[Any]
    cells: list[list[Any]]
    forks: int
    missed: list[str]


def performed(procedure: str, system: str, folder: Path) -> Shown:
    """Run a procedure in the sandbox and return what it came to."""
    before = _forks()
    chosen = asking(PROCEDURES[procedure], folder)
    request = Request(chosen, system, "sandbox", chosen.parse({}), archive=folder)
    document = attempt.attempt(request, attempt.target(system, "sandbox"))
    notebook = json.loads((Path(document["record"]) / "run.ipynb").read_text(encoding="utf-8"))
    own = {str(folder): "<archive>", **_names(document)}
    missed = notebook["cells"].pop()["outputs"][0]["text"].split()
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    said = [document["verdict"], document["cause"], document["findings"], document["next"]]
    shown = [[cell["execution_count"], *(output(one, own) for one in cell["outputs"])] for cell in cells]
    return Shown(steady(said, own), shown, _forks() - before, missed)


def asking(procedure: Procedure, folder: Path) -> Procedure:
    """Return a procedure whose notebook says in the end what it has imported."""
    notebook = json.loads(procedure.path.read_text(encoding="utf-8"))
    cell = {"cell_type": "code", "id": "missed", "metadata": {}, "source": MISSED, "outputs": []}
    notebook["cells"].append({**cell, "execution_count": None})
    folder.mkdir(exist_ok=True)
    path = folder / procedure.path.name
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return replace(procedure, path=path)


def _names(document: dict[str, Any]) -> dict[str, str]:
    """Return what a run and its plan are called, in full and in short."""
    found = {document["run_id"]: "<run>", document["run_id"][:13]: "<run>"}
    digest = document["plan"]["digest"].removeprefix("sha256:") if document["plan"] else ""
    return {**found, digest: "<plan>", digest[:12]: "<plan>"} if digest else found


def _forks() -> int:
    return int(client.status().get("forks", 0))


def output(found: dict[str, Any], own: Mapping[str, str]) -> list[Any]:
    """Return what there is to compare of one output: of a picture only that it is one."""
    shown = found.get("data", {}).items()
    data = {mime: value[:MAGIC] if mime.startswith("image/") else value for mime, value in shown}
    if results.RUN_MIME in data:
        data[results.RUN_MIME] = _typed(data[results.RUN_MIME])
    told = steady(data, own)
    if "image/png" in data or TABLE.search(data.get("text/html", "")):
        # As text, times cannot be told from other numbers; of a table, these are in the HTML too. One of a
        # second or more has a space in it, as there is between two.
        told["text/plain"] = re.sub(
            "<number>( <number>)+", "<number>", NUMBER.sub("<number>", told["text/plain"])
        )
    said = {name: found[name] for name in ("name", "text", "ename", "evalue") if name in found}
    return [found["output_type"], sorted(found.get("data", {})), told, steady(said, own)]


def _typed(result: dict[str, Any]) -> dict[str, Any]:
    calls = [
        {name: value for name, value in call.items() if name not in OF_THE_MOMENT} for call in result["calls"]
    ]
    return {**result, "calls": sorted(calls, key=str)}


def steady(value: Any, own: Mapping[str, str]) -> Any:
    """Return a value without what differs between any two runs."""
    if isinstance(value, dict):
        return {name: steady(part, own) for name, part in value.items()}
    if isinstance(value, list):
        return [steady(part, own) for part in value]
    return _steady(value, own) if isinstance(value, str) else value


def _steady(text: str, own: Mapping[str, str]) -> str:
    for name, stands in own.items():
        text = text.replace(name, stands)
    text = TABLE.sub(_untimed, text)
    for name, pattern in VARYING.items():
        text = re.sub(pattern, f"<{name}>", text)
    # A table as plain text: how wide a column is depends on the times in it.
    return re.sub(r"(?<![\w.])\d+\.\d+(?![\w.])", "<decimal>", re.sub(r"[ \n]+", " ", text))


def _untimed(table: re.Match[str]) -> str:
    """Return a table whose columns of times are empty."""
    heads = re.findall(r"<th>(.*?)</th>", table[0])
    timed = {place for place, head in enumerate(heads) if head in TIMES}
    rows = [re.findall(r"<td[^>]*>.*?</td>", row, re.S) for row in table[0].split("<tr>")]
    return str([heads, [[cell for place, cell in enumerate(row) if place not in timed] for row in rows]])


def fitting(procedure: str) -> str:
    """Return a system that the procedure can look at."""
    systems = ("klutr", *config.list_systems(ROOT / "parameters"))
    sandboxes = {
        name: config.load_system(name, ROOT / "parameters").environment("sandbox") for name in systems
    }
    return next(name for name in systems if not PROCEDURES[procedure].missing(sandboxes[name]))


@pytest.fixture
def both(
    tmp_path: Path, sandbox: object, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], tuple[Shown, Shown]]:
    """Runs a procedure on a forked kernel and on a plain one, and returns both."""
    client.warm()

    def run(procedure: str, system: str) -> tuple[Shown, Shown]:
        forked = performed(procedure, system, tmp_path / "forked")
        with monkeypatch.context() as patch:
            patch.setenv("OPSLIB_KERNELS", client.PLAIN)
            return forked, performed(procedure, system, tmp_path / "plain")

    return run


def same(forked: Shown, plain: Shown, *, anew: bool = False) -> None:
    """Hold two runs against each other; `anew`: what is imported does not count beside what is started."""
    assert forked.forks >= 1 and plain.forks == 0, "else two of a kind are compared"
    assert forked.verdict == plain.verdict
    assert anew or not forked.missed, "each of these is imported anew in every run"
    assert len(forked.cells) == len(plain.cells)
    for one, other in zip(forked.cells, plain.cells, strict=True):
        assert one == other


@pytest.mark.parametrize("procedure", PROCEDURES)
def test_a_notebook_shows_on_a_forked_kernel_what_it_shows_on_a_plain_one(both: Any, procedure: str) -> None:
    """Number, kinds and words of all outputs; verdict, cause and findings."""
    same(*both(procedure, fitting(procedure)), anew=procedure in (*STARTS_SERVERS, *ASKS_A_BUCKET))


@pytest.mark.parametrize("scenario, procedure, system", BROKEN)
def test_it_does_so_when_something_is_broken(both: Any, scenario: str, procedure: str, system: str) -> None:
    """Then tables are long, and there are plans; a plot that became text would be seen at the plot."""
    control.break_(scenario, system)
    forked, plain = both(procedure, system)
    same(forked, plain)
    pictures = [kinds for cell in forked.cells for _, kinds, *_ in cell[1:] if "image/png" in kinds]
    assert pictures or procedure != "health-check", "nothing was plotted"
