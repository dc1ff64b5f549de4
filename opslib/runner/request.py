"""What is asked of the runner, and what comes back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opslib import ids
from opslib.verdict import Status

if TYPE_CHECKING:
    from opslib.catalog import Procedure

CELL_TIMEOUT_S = 120.0
RUN_TIMEOUT_S = 900.0
# On the cells with which papermill says where a run stopped, and which it takes away before the next.
ERROR_TAG = "papermill-error-cell-tag"


@dataclass(frozen=True)
class Request:
    """One run that is asked for.

    Args:
        procedure: what to run.
        system: the system to look at.
        environment: its environment.
        parameters: typed values of the notebook's own parameters, without system and environment.
        archive: folder that keeps the record.
        trigger: what started it: manual, schedule, routine or api.
        actor: who started it; for a schedule, the slot.
        scheduled_for: the moment of the schedule, RFC 3339.
        progress: told a short line about how far the run is.
        cell_timeout_s: the longest that one cell may take, in seconds; None: what its procedure asks for.
        run_timeout_s: the longest that all cells together may take, in seconds; None likewise.
        longer_s: so much longer than its procedure asks for may a cell take.
        run_id: identity of the run.
        secret_input: a value that a person typed for this run; only its kernel gets it.
    """

    procedure: Procedure
    system: str
    environment: str
    parameters: Mapping[str, Any]
    archive: Path
    trigger: str = "manual"
    actor: str = ""
    scheduled_for: str | None = None
    progress: Callable[[str], None] | None = None
    cell_timeout_s: float | None = None
    run_timeout_s: float | None = None
    longer_s: float = 0.0
    run_id: str = field(default_factory=ids.new_run_id)
    secret_input: str = field(default="", repr=False)

    @property
    def cell_s(self) -> float:
        """The longest that one cell may take, in seconds."""
        asked = 60 * self.procedure.cell_minutes or CELL_TIMEOUT_S
        return asked + self.longer_s if self.cell_timeout_s is None else self.cell_timeout_s

    @property
    def run_s(self) -> float:
        """The longest that all cells together may take, in seconds: the longest of them, and the others."""
        others = RUN_TIMEOUT_S - CELL_TIMEOUT_S
        return others + self.cell_s if self.run_timeout_s is None else self.run_timeout_s

    @property
    def given(self) -> dict[str, Any]:
        """All values that go into the injected cell."""
        return {"system": self.system, "environment": self.environment, **self.parameters}


@dataclass(frozen=True)
class Outcome:
    """What a run came to.

    Args:
        run_id: identity of the run.
        status: its verdict.
        record: folder of the record.
        text: the document of the JSON contract, as text: that of a run takes a twentieth of the memory so,
            and all outcomes of a suite are kept until its end.
    """

    run_id: str
    status: Status
    record: Path
    text: str = field(repr=False)

    @classmethod
    def of(cls, document: Mapping[str, Any], record: Path) -> Outcome:
        """Return what the document of a run says, and where its record is."""
        return cls(document["run_id"], Status(document["verdict"]), record, json.dumps(document))

    @property
    def document(self) -> dict[str, Any]:
        """The document of the JSON contract."""
        return dict(json.loads(self.text))

    @property
    def name(self) -> str:
        """What ran, and where, in words."""
        document = self.document
        return f"{document['procedure']} on {document['system']}"


@dataclass(frozen=True)
class Ending:
    """How the execution of a notebook ended.

    Args:
        cause: "" when all cells ran; else procedure-broke, parameter-refused, kernel-died, timed-out,
            interrupted or withheld.
        text: what happened, in a sentence.
        cell: number of the code cell, counted from 1, where it happened.
        error: name of the exception.
        bereft: the kernel died only because the process that it was forked from was killed.
    """

    cause: str = ""
    text: str = ""
    cell: int | None = None
    error: str = ""
    bereft: bool = False
