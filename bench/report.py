"""The figures as tables: on the terminal, and as Markdown to keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table as RichTable

from bench import figures, single, ways
from bench.figures import Spread
from bench.kernels import Memory
from bench.measure import Measured, Rounds
from bench.process import Taken
from bench.targets import Target

_MIB = 1 << 20
UNKNOWN = "?"


@dataclass(frozen=True)
class Table:
    """A table with a sentence below it.

    Args:
        title: its heading.
        columns: names; all but the first hold numbers.
        rows: cells as text.
        note: what a reader has to know.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def tables(measured: Measured, targets: Sequence[Target]) -> tuple[Table, ...]:
    """Return all tables, the most asked-for first."""
    return (_suite(measured), _single(measured), _growth(measured), _memory(measured), _targets(targets))


def show(console: Console, shown: Iterable[Table]) -> None:
    """Print tables on a terminal."""
    for table in shown:
        made = RichTable(title=table.title, caption=table.note, title_justify="left", caption_justify="left")
        for number, name in enumerate(table.columns):
            made.add_column(name, justify="right" if number else "left")
        for row in table.rows:
            made.add_row(*row)
        console.print(made)


def document(
    facts: Mapping[str, str], shown: Iterable[Table], words: str = "", title: str = "What a run costs"
) -> str:
    """Return the whole report as Markdown."""
    lines = [f"# {title}", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    for table in shown:
        lines += ["", f"## {table.title}", "", *_markdown(table)]
        lines += ["", table.note] if table.note else []
    said = ["", "## What this says, and what not", "", words] if words else []
    return "\n".join([*lines, *said, ""])


def words(measured: Measured) -> str:
    """Return what the figures do and do not say, in one paragraph."""
    runs = len(measured.entries)
    stock = figures.seconds(measured.suite[ways.STOCK]).median / runs
    warm = measured.suite.get(ways.WARM)
    saved = stock - figures.seconds(warm).median / runs if warm else 0
    lone = {name: figures.seconds(rounds).median for name, rounds in measured.single.items()}
    said = [
        f"The saving is the same for every run, about {saved:.1f} s here: the start of papermill and of a "
        "kernel, the imports of the notebook, and waits in the client. What a notebook itself does is not "
        f"quicker: one that waits 60 s on a database gains {100 * saved / (60 + stock):.0f} %."
        if warm
        else f"Nothing was forked here ({measured.cold}), so the warm ways are missing.",
        "The sandbox answers at once and on the same machine, whose cores it shares with what is measured; "
        "real systems answer later, and there the ratios are smaller.",
        f"JupyterLab is in this environment; {lone[single.STOCK] - lone[single.BARE]:.1f} s of each "
        "`papermill` command are a package that comes with it; without it papermill does that much better.",
        "Warm means that the process which forks kernels is there: after a quarter of an hour without a run, "
        "the next one starts it.",
        "opslib also masks secrets, renders a page and keeps a record in that time; papermill does not.",
        "Files were in the page cache, and ratios compare measurements of the same round.",
    ]
    return " ".join(said)


def _suite(measured: Measured) -> Table:
    base, runs = measured.suite[ways.STOCK], len(measured.entries)
    rows = [
        (
            name,
            *_spread(figures.seconds(rounds)),
            f"{figures.seconds(rounds).median / runs:.2f}",
            _number(figures.cpu(rounds), runs),
            *_times(figures.ratio(base, rounds)),
        )
        for name, rounds in measured.suite.items()
    ]
    columns = ("way", "seconds", "range", "s a run", "CPU s a run", "times as quick", "range ")
    which = Counter(entry.procedure for entry in measured.entries)
    note = (
        f"The suite: {', '.join(f'{n} x {id}' for id, n in which.items())}, each on another system. Every "
        "notebook had the outputs, MIME types and verdict that stock papermill's had. Of the processor time "
        f"of a run, {measured.own_cpu:.2f} s are the notebook's own work. Each of opslib's rows is a command "
        "that is typed, `opslib run` with all procedures and systems, from the prompt to the next."
    )
    return Table(f"A suite of {runs} runbooks", columns, tuple(rows), note)


def _single(measured: Measured) -> Table:
    base = measured.single[single.STOCK]
    rows = [
        (
            name,
            *_spread(figures.seconds(rounds)),
            _number(figures.cpu(rounds)),
            *_times(figures.ratio(base, rounds)),
        )
        for name, rounds in measured.single.items()
    ]
    columns = ("command", "seconds", "range", "CPU s", "times as quick", "range ")
    note = (
        f"The median of {_rounds(measured.single)}. The processor time of a command that starts the "
        "zygote is not known, because that outlives it."
    )
    return Table(f"One command ({single.PROCEDURE})", columns, tuple(rows), note)


def _growth(measured: Measured) -> Table:
    rows = [
        (str(size), f"{taken.seconds:.2f}", f"{taken.seconds / size:.3f}", _mib(taken))
        for size, taken in measured.growth.items()
    ]
    columns = ("runs", "seconds", "s a run", "largest MiB of the runner")
    note = (
        "opslib warm, by its library: a process starts, imports, runs all and ends. In a small suite its "
        "start counts most."
    )
    return Table("Suites of growing size", columns, tuple(rows), note)


def _memory(measured: Measured) -> Table:
    rows = [_remembered("plain", memory) for memory in measured.plain]
    rows += [_remembered("forked", memory) for memory in measured.forked]
    columns = ("kernels", "at a time", "MiB each", "of it private", "MiB zygote", "MiB together")
    note = "Proportional sizes: a page that several processes use counts in parts."
    return Table("Memory of kernels after a runbook", columns, tuple(rows), note)


def _targets(targets: Sequence[Target]) -> Table:
    rows = [
        (
            target.text,
            f"{'at least' if target.at_least else 'at most'} {target.limit:g} {target.unit}",
            UNKNOWN if target.value is None else f"{target.value:.2f} {target.unit}",
            target.reached,
        )
        for target in targets
    ]
    return Table("Targets", ("target", "asked", "measured", "reached"), tuple(rows))


def _markdown(table: Table) -> list[str]:
    ruler = ["---", *("---:" for _ in table.columns[1:])]
    return [f"| {' | '.join(cells)} |" for cells in (table.columns, ruler, *table.rows)]


def _spread(values: Spread) -> tuple[str, str]:
    return f"{values.median:.2f}", f"{values.least:.2f}-{values.most:.2f}"


def _times(values: Spread) -> tuple[str, str]:
    return f"{values.median:.1f}", f"{values.least:.1f}-{values.most:.1f}"


def _number(value: float | None, runs: int = 1) -> str:
    return UNKNOWN if value is None else f"{value / runs:.2f}"


def _mib(taken: Taken) -> str:
    return UNKNOWN if taken.peak is None else f"{taken.peak / _MIB:.0f}"


def _remembered(kind: str, memory: Memory) -> tuple[str, ...]:
    sizes = (memory.share, memory.private, memory.zygote, memory.total)
    return (kind, str(memory.kernels), *(f"{size / _MIB:.0f}" for size in sizes))


def _rounds(rounds: Rounds) -> int:
    return max(len(taken) for taken in rounds.values())
