"""The bench is only worth something if it notices what a quick way has lost."""

from __future__ import annotations

import copy
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench import figures, kernels, measure, outputs, report, single, suite, targets, ways
from bench.process import Failed, Meter, Taken, done, surroundings
from bench.suite import Entry
from bench.ways import Way
from opslib.runner.results import RUN_MIME
from tests.conftest import Rehearsal

ENTRY = Entry("health-check", Path("health-check.ipynb"), "klutr")
PLOT = {"output_type": "display_data", "data": {"text/plain": "<Figure>", "image/png": "aGk="}}
TABLE = {"output_type": "display_data", "data": {"text/plain": "", "text/html": "<table>"}}


def result(verdict: str) -> dict[str, Any]:
    """Return the output that tells a verdict."""
    return {"output_type": "display_data", "data": {"text/plain": "", RUN_MIME: {"verdict": verdict}}}


def stream(text: str) -> dict[str, Any]:
    """Return an output that was printed."""
    return {"output_type": "stream", "name": "stdout", "text": text}


def notebook(*cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Return an executed notebook with these outputs; its last cell tells the verdict."""
    codes = [{"cell_type": "code", "outputs": list(cell)} for cell in (*cells, [result("ok")])]
    return {"cells": [{"cell_type": "markdown"}, *codes]}


@pytest.fixture
def stock(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What stock papermill made: a table, a plot and some text."""
    made = notebook([TABLE, PLOT], [stream("one\ntwo\n")])
    write(tmp_path / "stock.ipynb", made)
    yield copy.deepcopy(made)


def write(path: Path, document: dict[str, Any]) -> Path:
    """Write a notebook and return its path."""
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def told(tmp_path: Path, found: dict[str, Any]) -> str:
    """Return what is said of a notebook beside the one of stock papermill; "" when nothing."""
    wanted = outputs.standard([ENTRY], [tmp_path / "stock.ipynb"])
    try:
        outputs.compare("quick", wanted, [ENTRY], [write(tmp_path / "found.ipynb", found)])
    except outputs.Different as error:
        return str(error)
    return ""


def test_the_same_notebook_differs_in_nothing(tmp_path: Path, stock: dict[str, Any]) -> None:
    """Otherwise no way would ever pass."""
    assert told(tmp_path, stock) == ""


def test_a_plot_that_is_only_text_is_a_lost_plot(tmp_path: Path, stock: dict[str, Any]) -> None:
    """That is how a kernel loses plots: in silence, and quicker than before."""
    del stock["cells"][1]["outputs"][1]["data"]["image/png"]
    assert "cell 1 shows display_data text/html text/plain; display_data text/plain, not" in told(
        tmp_path, stock
    )


def test_an_output_that_is_missing_is_told_with_its_cell(tmp_path: Path, stock: dict[str, Any]) -> None:
    """A person must find it."""
    del stock["cells"][2]["outputs"][0]
    assert told(tmp_path, stock).endswith("cell 2 shows nothing, not stream stdout")


def test_a_cell_that_is_missing_is_told(tmp_path: Path, stock: dict[str, Any]) -> None:
    """A notebook that ended early shows less."""
    del stock["cells"][2]
    assert "shows no such cell" in told(tmp_path, stock)


def test_another_verdict_is_told(tmp_path: Path, stock: dict[str, Any]) -> None:
    """Quick and wrong is not quick."""
    stock["cells"][3]["outputs"] = [result("warning")]
    assert told(tmp_path, stock) == "quick: health-check on klutr: verdict warning, not ok"


def test_a_notebook_that_is_not_there_is_told(tmp_path: Path, stock: dict[str, Any]) -> None:
    """A run without a record took no time at all."""
    wanted = outputs.standard([ENTRY], [tmp_path / "stock.ipynb"])
    with pytest.raises(outputs.Different, match="verdict none, not ok"):
        outputs.compare("quick", wanted, [ENTRY], [tmp_path / "nothing.ipynb"])


def test_text_that_came_in_other_pieces_is_the_same_text(tmp_path: Path, stock: dict[str, Any]) -> None:
    """Where the kernel cuts its stream is chance."""
    stock["cells"][2]["outputs"] = [stream("one\n"), stream("two\n")]
    assert told(tmp_path, stock) == ""


def test_two_plots_are_not_one(tmp_path: Path, stock: dict[str, Any]) -> None:
    """Only text is put together."""
    stock["cells"][1]["outputs"].append(PLOT)
    assert "cell 1" in told(tmp_path, stock)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (notebook([TABLE]), "not a single plot"),
        ({"cells": [{"cell_type": "code", "outputs": [PLOT]}]}, "no whole result"),
        (notebook([PLOT, {"output_type": "error", "ename": "KeyError"}]), "no whole result"),
    ],
    ids=["no plot", "no verdict", "an error"],
)
def test_a_standard_that_shows_nothing_is_no_standard(
    tmp_path: Path, made: dict[str, Any], words: str
) -> None:
    """If stock papermill broke, all ways that break would look right."""
    with pytest.raises(outputs.Different, match=words):
        outputs.standard([ENTRY], [write(tmp_path / "stock.ipynb", made)])


def test_the_suite_has_twenty_different_runbooks_that_only_read() -> None:
    """One that is run twice would find what the first has left."""
    entries = suite.suite(20)
    assert len(set(entries)) == 20
    assert {entry.procedure for entry in entries} == {procedure.id for procedure in suite.procedures()}
    assert not any(procedure.changes for procedure in suite.procedures())


def test_the_suite_is_one_command() -> None:
    """With as many commands as systems, most of what is measured would be their beginnings and ends."""
    calls = ways._calls(suite.suite(20))
    assert {call: len(systems) for call, systems in calls.items()} == {
        (("database-health", "health-check", "site-down", "vendor-status"), ()): 5
    }


def test_a_larger_suite_varies_parameters_and_a_repeated_one_does_not() -> None:
    """Both are said to be what they are."""
    larger = suite.suite(60)
    assert len(set(larger)) == 60 and larger[-1].parameters
    assert suite.repeated(larger[:2], 5) == (*larger[:2], *larger[:2], larger[0])


def test_the_clock_counts_the_processor_time_of_commands(tmp_path: Path) -> None:
    """What works in a child costs as much as what works here."""
    busy = "import time\nwhile time.process_time() < 0.3:\n    pass"
    with Meter() as meter:
        done([sys.executable, "-c", busy], surroundings(tmp_path))
    assert meter.cpu is not None and meter.cpu >= 0.3


def test_processor_time_is_not_known_where_a_lasting_process_was_replaced() -> None:
    """The time of the one that is gone is lost, and what is left would flatter."""
    pids = iter([(), (1,)])
    with Meter(lambda: next(pids)) as meter:
        pass
    assert meter.cpu is None


def test_a_command_that_fails_ends_the_bench_with_its_words(tmp_path: Path) -> None:
    """A crash is the quickest run of all."""
    with pytest.raises(Failed, match="no such thing"):
        done([sys.executable, "-c", "import sys; sys.exit('no such thing')"], surroundings(tmp_path))


def test_ratios_compare_the_same_round() -> None:
    """A machine that is busy for one round is busy for both."""
    base, quick = [Taken(10, None), Taken(40, None)], [Taken(1, None), Taken(4, None)]
    assert figures.ratio(base, quick) == figures.Spread((10, 10))


def test_ways_are_held_against_the_first_in_every_round(tmp_path: Path, stock: dict[str, Any]) -> None:
    """A plot may be lost in the last round only."""
    lost = copy.deepcopy(stock)
    del lost["cells"][1]["outputs"][1]
    rounds = iter([stock, stock, lost])

    def right(entries: Any, folder: Path) -> Taken:
        return Taken(1, 1, (write(folder / "right.ipynb", stock),))

    def wrong(entries: Any, folder: Path) -> Taken:
        return Taken(1, 1, (write(folder / "wrong.ipynb", next(rounds)),))

    chosen = [Way("stock", right), Way("quick", wrong)]
    with pytest.raises(outputs.Different, match="quick"):
        measure.alternating(chosen, [ENTRY], 3)


def measured(**changed: Any) -> measure.Measured:
    """Return measurements of a suite of two in which stock papermill takes 60 s."""
    entries = (ENTRY, Entry("site-down", Path("site-down.ipynb"), "kulti"))
    taken = {way.name: [Taken(6.0, 3.0), Taken(5.0, 2.0)] for way in ways.ways()}
    taken[ways.STOCK] = [Taken(60.0, 50.0), Taken(60.0, 50.0)]
    lone = {way.name: [Taken(0.5, 0.4)] for way in single.commands()}
    growth = {size: Taken(size * 0.2, None, peak=80 << 20) for size in (1, 20, 200)}
    memory = [kernels.Memory(4, 50 << 20, 40 << 20, 60 << 20)]
    found = measure.Measured(entries, taken, lone, growth, memory, memory, 0.2, "")
    return measure.Measured(**{**found.__dict__, **changed})


def test_every_table_renders_on_a_terminal_and_in_markdown() -> None:
    """The figures are what is read."""
    found = measured()
    shown = report.tables(found, targets.judged(found))
    console = Console(width=140, record=True, file=io.StringIO())
    report.show(console, shown)
    page = report.document({"machine": "two cores"}, shown, report.words(found))
    for text in (console.export_text(), page):
        assert all(table.title in text for table in shown)
        assert all(way.name in text for way in (*ways.ways(), *single.commands()))
    assert "| papermill, one by one | 60.00 | 60.00-60.00 | 30.00 | 25.00 | 1.0 | 1.0-1.0 |" in page
    assert "| opslib warm | 5.50 | 5.00-6.00 | 2.75 | 1.25 | 11.0 | 10.0-12.0 |" in page


def test_a_target_is_reached_or_not_and_never_bent() -> None:
    """Eleven is not twenty, and what was not measured is no yes."""
    found = {target.text: target for target in targets.judged(measured())}
    stock = found["the suite, warm: times as quick as papermill, one by one"]
    assert (stock.value, stock.reached) == (11.0, "no")
    assert found["one runbook, warm"].reached == "yes"
    assert found["processor time of a runbook beyond its own work"].reached == "no"
    suites = {way.name: [Taken(9.0, 1.0)] for way in ways.ways() if not way.forks}
    plain = targets.judged(measured(suite=suites, growth={}, cold="kernels are forked on Linux only"))
    assert [target.reached for target in plain[:3]] == ["not measured"] * 3


def test_a_warm_suite_shows_what_stock_papermill_shows(sandbox: Rehearsal, tmp_path: Path) -> None:
    """The real ways, on one runbook with a plot."""
    entry = next(entry for entry in suite.suite(20) if entry.procedure == single.PROCEDURE)
    chosen = [way for way in ways.ways() if way.name in (ways.STOCK, ways.API_2, ways.WARM)]
    taken, wanted = measure.alternating(chosen, [entry], 1)
    assert wanted[entry].plots
    assert all(one.cpu and one.cpu > 0 for rounds in taken.values() for one in rounds)
