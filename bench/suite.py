"""What is run: the catalogue's read-only procedures on the systems that the sandbox rehearses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any

from opslib import catalog, config
from opslib.catalog import Procedure
from opslib.sandbox import data

ENVIRONMENT = "sandbox"
# The same as ever, so that figures can be compared with earlier ones.
MEASURED = ("database-health", "health-check", "site-down", "vendor-status")

Parameters = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Entry:
    """One runbook of the suite.

    Args:
        procedure: its id.
        notebook: its file.
        system: what it looks at.
        parameters: names and values that differ from the defaults.
    """

    procedure: str
    notebook: Path
    system: str
    parameters: Parameters = ()

    @property
    def name(self) -> str:
        """How it is called in messages."""
        own = "".join(f" {name}={value}" for name, value in self.parameters)
        return f"{self.procedure} on {self.system}{own}"

    @property
    def given(self) -> dict[str, Any]:
        """All values of its parameters cell."""
        return {"system": self.system, "environment": ENVIRONMENT, **dict(self.parameters)}


def suite(size: int) -> tuple[Entry, ...]:
    """Return so many different runbooks; procedures and systems take turns.

    Raises:
        ValueError: the catalogue has not so many.
    """
    found = tuple(islice(_entries(), size))
    if len(found) < size:
        raise ValueError(f"the catalogue has {len(found)} different runbooks for the sandbox, not {size}")
    return found


def repeated(entries: Sequence[Entry], size: int) -> tuple[Entry, ...]:
    """Return so many runbooks, from the beginning again when the suite is used up."""
    return tuple(islice(cycle(entries), size))


def procedures() -> tuple[Procedure, ...]:
    """Return the procedures that are measured."""
    known = catalog.load()
    return tuple(known.get(id) for id in MEASURED)


def _entries() -> Iterator[Entry]:
    """Yield all with their defaults, then those with a number to vary, one higher each time."""
    pairs = list(_pairs())
    yield from (Entry(procedure.id, procedure.path, system) for procedure, system in pairs)
    numbers = [(procedure, system, _number(procedure)) for procedure, system in pairs]
    varied = [(p, s, number) for p, s, number in numbers if number]
    for more in count(1) if varied else ():
        for procedure, system, (name, default) in varied:
            yield Entry(procedure.id, procedure.path, system, ((name, default + more),))


def _pairs() -> Iterator[tuple[Procedure, str]]:
    chosen, systems = procedures(), data.systems()
    for turn in range(len(systems)):
        for place, procedure in enumerate(chosen):
            system = systems[(place + turn) % len(systems)]
            if not procedure.missing(config.load_system(system).environment(ENVIRONMENT)):
                yield procedure, system


def _number(procedure: Procedure) -> tuple[str, int] | None:
    """Return the first whole number among the parameters, which can be any higher."""
    numbers = [p for p in procedure.parameters if type(p.default) is int]
    return next(((p.name, p.default) for p in numbers), None)
