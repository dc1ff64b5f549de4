"""What a notebook shows: its verdict, and the MIME types of every output in every cell.

Times, ids and addresses differ from run to run and are not looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest
from pathlib import Path
from typing import Any

from bench.suite import Entry
from opslib.runner import results

PLOT = "image/"


class Different(Exception):
    """A way made other notebooks than stock papermill did."""


@dataclass(frozen=True)
class Shown:
    """What one executed notebook shows.

    Args:
        verdict: its own; "none" when it never came to one.
        cells: for each code cell, its outputs in order, each as its kind and MIME types.
    """

    verdict: str
    cells: tuple[tuple[str, ...], ...]

    @property
    def plots(self) -> int:
        """How many outputs are pictures."""
        return sum(PLOT in output for cell in self.cells for output in cell)


def read(path: Path) -> Shown:
    """Return what an executed notebook shows; nothing when there is none."""
    if not path.is_file():
        return Shown("none", ())
    notebook = json.loads(path.read_text(encoding="utf-8"))
    result, _ = results.read(notebook)
    codes = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return Shown(result.get("verdict", "none"), tuple(tuple(_kinds(cell["outputs"])) for cell in codes))


def differences(wanted: Shown, found: Shown) -> list[str]:
    """Return in sentences how a notebook differs from the wanted one; empty when it does not."""
    said = []
    if wanted.verdict != found.verdict:
        said.append(f"verdict {found.verdict}, not {wanted.verdict}")
    for number, (right, own) in enumerate(zip_longest(wanted.cells, found.cells), 1):
        if right != own:
            said.append(f"cell {number} shows {_words(own)}, not {_words(right)}")
    return said


def compare(way: str, wanted: Mapping[Entry, Shown], entries: Sequence[Entry], paths: Sequence[Path]) -> None:
    """Hold the notebooks of a way against the wanted ones.

    Raises:
        Different: at least one differs; the message has a line for each difference.
    """
    said = []
    for entry, path in zip(entries, paths, strict=True):
        said += [f"{way}: {entry.name}: {words}" for words in differences(wanted[entry], read(path))]
    if said:
        raise Different("\n".join(said))


def standard(entries: Sequence[Entry], paths: Sequence[Path]) -> dict[Entry, Shown]:
    """Return what the notebooks of stock papermill show, which all others are held against.

    Raises:
        Different: one came to no verdict or broke, or none has a plot, so that nothing could be lost.
    """
    found = {entry: read(path) for entry, path in zip(entries, paths, strict=True)}
    broken = [entry.name for entry, shown in found.items() if shown.verdict == "none" or _error(shown)]
    if broken:
        raise Different(f"stock papermill: no whole result from {', '.join(broken)}")
    if not any(shown.plots for shown in found.values()):
        raise Different("stock papermill: not a single plot, so a lost one would not be noticed")
    return found


def _kinds(outputs: Sequence[Any]) -> Iterator[str]:
    """Yield the kind of each output; text of one stream is one output, however it was cut."""
    for kind, alike in groupby(outputs, _kind):
        yield from [kind] if kind.startswith("stream") else (kind for _ in alike)


def _kind(output: Any) -> str:
    if output["output_type"] == "stream":
        return f"stream {output['name']}"
    return " ".join([output["output_type"], *sorted(output.get("data", ()))])


def _error(shown: Shown) -> bool:
    return any(output == "error" for cell in shown.cells for output in cell)


def _words(cell: tuple[str, ...] | None) -> str:
    if cell is None:
        return "no such cell"
    return "; ".join(cell) or "nothing"
