"""The catalogue: every notebook's metadata, read as plain JSON.

It is the one source for the command line, the schedule, the README's table and the tests; there is
no list kept by hand. A notebook that is wrong does not hide the others: it is kept among
`Catalog.problems`, and asking for it raises its error.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opslib import metadata, parameters
from opslib.controls import controls_of
from opslib.errors import ConfigError, ParameterError, UnknownName
from opslib.parameters import Parameter

if TYPE_CHECKING:
    from opslib.config import Environment

_SAID = {"database": "database", "site": "web address", "files": "files", "status_pages": "status page"}


@dataclass(frozen=True)
class Procedure:
    """One notebook, as its metadata and its parameters cell describe it.

    Args:
        id: name on the command line; also the file's name.
        title: the symptom, as the page's heading has it.
        path: the notebook.
        folder: the part of the catalogue that it is in, e.g. `diagnose`.
        symptoms: alert names and error texts that lead here.
        severity: P0 to P3, or `none` for routine.
        owner: who keeps it right.
        changes: whether it can change anything.
        needs: what it has to be able to look at.
        systems: the systems it is for; empty means all.
        minutes: how long a person should expect to be here.
        cell_minutes: how long one of its cells may take before it is cut off; 0 for as long as any other's.
        idempotent: whether it may be started again after a crash.
        reviewed: when a person last read it through.
        next: procedures to go on with.
        controls: what auditors ask for and its runs are evidence for, e.g. `CC7.2`.
        parameters: what can be given with `-p`.
        usual: what of it a person mostly wants, where without it nothing is done but looking.
    """

    id: str
    title: str
    path: Path
    folder: str
    symptoms: tuple[str, ...]
    severity: str
    owner: str
    changes: bool
    needs: metadata.Needs
    systems: tuple[str, ...]
    minutes: float
    cell_minutes: float
    idempotent: bool
    reviewed: date
    next: tuple[str, ...]
    controls: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    usual: Mapping[str, Any]

    @property
    def command(self) -> str:
        """What is typed to run it on the preset system, as a person mostly wants it."""
        given = [f" -p {name}={str(value).lower()}" for name, value in self.usual.items()]
        return f"opslib run {self.id}{''.join(given)}"

    @property
    def searchable(self) -> str:
        """Everything that a symptom may be found in, in small letters."""
        return " ".join((self.id, self.title, self.folder, *self.symptoms)).lower()

    def missing(self, environment: Environment) -> tuple[str, ...]:
        """Return why this procedure cannot look at an environment; empty when it can."""
        return tuple(_missing(self, environment))

    def parse(self, given: Mapping[str, object]) -> dict[str, Any]:
        """Return given parameters with their types; errors name this procedure."""
        return parameters.parse(self.parameters, given, notebook=self.id)

    def chosen(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of its values that somebody chose: what is as declared is left out."""
        declared = {parameter.name: parameter.default for parameter in self.parameters}
        return {name: value for name, value in values.items() if declared.get(name) != value}


@dataclass(frozen=True)
class Catalog:
    """All procedures.

    Args:
        procedures: by folder, then id.
        problems: what is wrong with the notebooks that cannot be used, by the file's name.
    """

    procedures: tuple[Procedure, ...]
    problems: Mapping[str, ConfigError]

    def get(self, name: str) -> Procedure:
        """Return one procedure.

        Raises:
            ConfigError: its notebook is wrong.
            UnknownName: there is none of that name; close ones are named.
        """
        for procedure in self.procedures:
            if procedure.id == name:
                return procedure
        if name in self.problems:
            raise self.problems[name]
        near = parameters.close(name, self.ids)
        raise UnknownName(f"there is no procedure {name}{near}", hint="see `opslib list`")

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the procedures that can be used."""
        return tuple(procedure.id for procedure in self.procedures)

    def for_symptom(self, words: str) -> tuple[Procedure, ...]:
        """Return procedures whose symptoms, title or id hold all the words, whatever their case."""
        wanted = words.lower().split()
        return tuple(p for p in self.procedures if all(word in p.searchable for word in wanted))


def find_notebooks() -> Path:
    """Return `OPSLIB_NOTEBOOKS`, else the folder `notebooks` beside `parameters`.

    Raises:
        ConfigError: there is no such folder.
    """
    if given := os.environ.get("OPSLIB_NOTEBOOKS"):
        path = Path(given).expanduser().absolute()
    else:
        from opslib.config import find_parameters

        path = find_parameters().parent / "notebooks"
    if not path.is_dir():
        raise ConfigError(f"{path}: no such folder", hint="OPSLIB_NOTEBOOKS names the folder of notebooks")
    return path


def load(root: Path | None = None) -> Catalog:
    """Read all notebooks under `root` (default: `find_notebooks()`)."""
    folder = root or find_notebooks()
    found: dict[str, Procedure] = {}
    problems: dict[str, ConfigError] = {}
    for path in _notebooks(folder):
        try:
            procedure = read(path, folder)
            if procedure.id in found:
                raise ConfigError(f"{path}: id {procedure.id} is also that of {found[procedure.id].path}")
            found[procedure.id] = procedure
        except ConfigError as error:
            problems[path.stem] = error
    return Catalog(tuple(sorted(found.values(), key=lambda each: (each.folder, each.id))), problems)


def chosen(procedure: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a plan's parameters that somebody chose; all where its procedure is not known here."""
    try:
        return load().get(procedure).chosen(values)
    except (UnknownName, ConfigError):
        return dict(values)


def read(path: Path, root: Path | None = None) -> Procedure:
    """Read one notebook's metadata and parameters.

    Raises:
        ConfigError: names the file, and the key that is wrong.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        meta = document["metadata"]["opslib"]
        cells = list(document["cells"])
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: not a notebook with metadata.opslib", hint="see `opslib new`") from error
    metadata.check(path, meta)
    return _procedure(path, root or path.parents[1], meta, _parameters(path, cells))


def _notebooks(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.ipynb"))
    return [p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts)]


def _parameters(path: Path, cells: list[Any]) -> tuple[Parameter, ...]:
    for cell in cells:
        if "parameters" in cell.get("metadata", {}).get("tags", []):
            text = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
            try:
                return parameters.read(text)
            except ConfigError as error:
                raise ConfigError(f"{path}: {error.message}", hint=error.hint) from error
    raise ConfigError(f"{path}: no cell is tagged `parameters`")


def _procedure(path: Path, root: Path, meta: Mapping[str, Any], declared: tuple[Parameter, ...]) -> Procedure:
    try:
        reviewed = date.fromisoformat(meta["reviewed"])
    except ValueError as error:
        raise metadata.wrong(path, "reviewed", "not a date like 2026-11-21") from error
    needs = metadata.Needs(**{**meta["needs"], "vendors": tuple(meta["needs"].get("vendors", ()))})
    same = ("id", "title", "severity", "owner", "changes", "minutes", "idempotent")
    return Procedure(
        **{key: meta[key] for key in same},
        cell_minutes=meta.get("cell_minutes", 0),
        path=path,
        folder="/".join(path.parent.relative_to(root).parts),
        symptoms=tuple(meta["symptoms"]),
        needs=needs,
        systems=() if meta["systems"] == "all" else tuple(meta["systems"]),
        reviewed=reviewed,
        next=tuple(meta["next"]),
        controls=controls_of(meta.get("controls", ())),
        parameters=declared,
        usual=_usual(path, meta, declared),
    )


def _usual(path: Path, meta: Mapping[str, Any], declared: tuple[Parameter, ...]) -> dict[str, Any]:
    try:
        return parameters.parse(declared, meta.get("usual", {}), notebook=meta["id"])
    except (ParameterError, UnknownName) as error:
        raise metadata.wrong(path, "usual", error.message) from error


def _missing(procedure: Procedure, environment: Environment) -> Iterator[str]:
    system = environment.system.name
    if procedure.systems and system not in procedure.systems:
        yield f"{procedure.id} is for {', '.join(procedure.systems)}, not for {system}"
    if environment.name == "sandbox" and not environment.attached:
        return  # its addresses are known only once it is up
    there: dict[str, object] = {
        "database": environment.doors, "site": environment.base_url, "files": environment.system.files,
        "status_pages": any(v.status_url for v in environment.vendors.values()),
    }  # fmt: skip
    lacking = [words for need, words in _SAID.items() if getattr(procedure.needs, need) and not there[need]]
    lacking += [f"vendor {name}" for name in procedure.needs.vendors if name not in environment.vendors]
    hint = f"add it to parameters/systems/{system}.yml"
    yield from (f"{system} names no {what} for {environment.name}: {hint}" for what in lacking)
