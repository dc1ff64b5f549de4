"""Tries what this machine and a system's file name: what works, what is missing, what that leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from opslib import catalog, config
from opslib.doctor import machine, target
from opslib.doctor.report import Line, Report
from opslib.errors import OpsError
from opslib.verdict import Status

__all__ = ["Line", "Report", "examine", "role_statements"]


def examine(archive: Path, system: str | None, environment: str) -> Report:
    """Try everything that can be tried without changing anything.

    Args:
        archive: where records are kept.
        system: a system to look at; without one the machine and all systems' files are looked at.
        environment: which of its environments.

    Raises:
        UnknownName: there is no such system or environment.
        ConfigError: the system's file is wrong.
    """
    if system is None:
        return Report("", environment, (*machine.lines(archive), *_files()))
    chosen = config.load_system(system).environment(environment)
    lines = (*machine.lines(archive), *target.lines(chosen))
    return Report(system, environment, lines, _left_out(chosen))


def role_statements() -> str:
    """Return the SQL that makes `opslib_monitor` and `opslib_operator`; it holds no password."""
    return files(__name__).joinpath("roles.sql").read_text(encoding="utf-8")


def _files() -> Iterator[Line]:
    """Read every file under parameters/, and every notebook."""
    for name in config.list_systems():
        yield _tried(f"parameters/systems/{name}.yml", name)
    loaded = catalog.load()
    yield from _schedule(loaded)
    yield from _witnesses()
    yield Line("files", "notebooks", Status.OK, f"{len(loaded.procedures)} procedures")
    for problem in loaded.problems.values():
        yield Line("files", "notebook", Status.CRITICAL, problem.message, problem.hint)


def _schedule(loaded: catalog.Catalog) -> Iterator[Line]:
    """Read the schedule, and try whether each slot could be started as it is written."""
    what = "parameters/schedule.yml"
    try:
        slots = config.load_schedule()
    except OpsError as error:
        yield Line("files", what, Status.CRITICAL, error.message, error.hint)
        return
    wrong = [line for slot in slots if (line := _slot(f"{what}: {slot.id}", slot, loaded))]
    yield from wrong
    if not wrong:
        yield Line("files", what, Status.OK, f"{len(slots)} slots")


def _witnesses() -> Iterator[Line]:
    """Read who witnesses our log, and whose log we witness; nobody has to."""
    from opslib.evidence.witnesses import cosigners, log_keys

    what = "parameters/witnesses.yml"
    try:
        found = config.load_witnesses()
        logs = log_keys(found)
        cosigners(found)
    except OpsError as error:
        yield Line("files", what, Status.CRITICAL, error.message, error.hint)
        return
    if found.witnesses or logs:
        yield Line("files", what, Status.OK, f"{len(found.witnesses)} witnesses, {len(logs)} logs witnessed")


def _slot(what: str, slot: config.Slot, loaded: catalog.Catalog) -> Line | None:
    """Return what would stop a slot at its hour, when nobody looks."""
    if not slot.procedure:
        return None  # a routine that is not there is an error of the file itself
    try:
        loaded.get(slot.procedure).parse(slot.parameters)
    except OpsError as error:
        return Line("files", what, Status.CRITICAL, error.message, error.hint)
    return None


def _tried(what: str, name: str) -> Line:
    try:
        system = config.load_system(name)
    except OpsError as error:
        return Line("files", what, Status.CRITICAL, error.message, error.hint)
    return Line("files", what, Status.OK, ", ".join(system.environment_names))


def _left_out(environment: config.Environment) -> dict[str, str]:
    missing = {p.id: p.missing(environment) for p in catalog.load().procedures}
    return {name: "; ".join(reasons) for name, reasons in missing.items() if reasons}
