"""The catalogue: every notebook's metadata, read as plain JSON.

It is the one source for the command line, the schedule, the README's table and the tests; there is
no list kept by hand. A notebook that is wrong does not hide the others: it is kept among
`Catalog.problems`, and asking for it raises its error.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opslib import parameters
from opslib.controls import THEMES, controls_of
from opslib.errors import ConfigError, UnknownName
from opslib.parameters import Parameter

if TYPE_CHECKING:
    from opslib.config import Environment

SEVERITIES = ("P0", "P1", "P2", "P3", "none")
_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_REQUIRED: dict[str, type | tuple[type, ...]] = {
    "id": str,
    "title": str,
    "symptoms": list,
    "severity": str,
    "owner": str,
    "changes": bool,
    "needs": dict,
    "systems": (str, list),
    "minutes": (int, float),
    "idempotent": bool,
    "reviewed": str,
    "next": list,
}


@dataclass(frozen=True)
class Needs:
    """What a procedure has to be able to look at.

    Args:
        database: the system's database.
        site: the system's own URLs.
        vendors: vendors whose API is asked; all of them.
        status_pages: at least one vendor's public status page.
        files: at least one bucket of files.
    """

    database: bool = False
    site: bool = False
    vendors: tuple[str, ...] = ()
    status_pages: bool = False
    files: bool = False


_SAID = {"database": "database", "site": "web address", "files": "files", "status_pages": "status page"}
_NEEDS: dict[str, type] = {need.name: list if need.name == "vendors" else bool for need in fields(Needs)}


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
        idempotent: whether it may be started again after a crash.
        reviewed: when a person last read it through.
        next: procedures to go on with.
        controls: what auditors ask for and its runs are evidence for, e.g. `CC7.2`.
        parameters: what can be given with `-p`.
    """

    id: str
    title: str
    path: Path
    folder: str
    symptoms: tuple[str, ...]
    severity: str
    owner: str
    changes: bool
    needs: Needs
    systems: tuple[str, ...]
    minutes: float
    idempotent: bool
    reviewed: date
    next: tuple[str, ...]
    controls: tuple[str, ...]
    parameters: tuple[Parameter, ...]

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
    _check(path, meta)
    return _procedure(path, root or path.parents[1], meta, _parameters(path, cells))


def _notebooks(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.ipynb"))
    return [p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts)]


def _check(path: Path, meta: Any) -> None:
    if not isinstance(meta, dict):
        raise ConfigError(f"{path}: metadata.opslib: not an object")
    for key, kind in _REQUIRED.items():
        if key not in meta:
            raise _wrong(path, key, "missing")
        if not _is(meta[key], kind):
            raise _wrong(path, key, f"{meta[key]!r} is not of type {_kind(kind)}")
    for key in ("symptoms", "next"):
        if not all(isinstance(value, str) for value in meta[key]):
            raise _wrong(path, key, "not a list of texts")
    if unknown := [name for name in meta.get("controls", ()) if name not in THEMES]:
        raise _wrong(path, "controls", f"{unknown[0]!r} is not one of {', '.join(THEMES)}")
    if not _ID.fullmatch(meta["id"]) or meta["id"] != path.stem:
        raise _wrong(path, "id", f"{meta['id']!r} is not the file's name, in small letters and dashes")
    if isinstance(meta["systems"], str) and meta["systems"] != "all":
        raise _wrong(path, "systems", 'neither "all" nor a list')
    if meta["severity"] not in SEVERITIES:
        raise _wrong(path, "severity", f"not one of {', '.join(SEVERITIES)}")
    for key, value in meta["needs"].items():
        if key not in _NEEDS:
            raise _wrong(path, f"needs.{key}", f"no such need{parameters.close(key, _NEEDS)}")
        if not _is(value, _NEEDS[key]):
            raise _wrong(path, f"needs.{key}", f"{value!r} is not of type {_kind(_NEEDS[key])}")


def _is(value: Any, kind: type | tuple[type, ...]) -> bool:
    # bool is an int to Python, but `minutes: true` is a slip.
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _kind(kind: type | tuple[type, ...]) -> str:
    return " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))


def _wrong(path: Path, key: str, what: str) -> ConfigError:
    return ConfigError(f"{path}: metadata.opslib.{key}: {what}", hint="mend the notebook's metadata")


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
        raise _wrong(path, "reviewed", "not a date like 2026-11-21") from error
    needs = Needs(**{**meta["needs"], "vendors": tuple(meta["needs"].get("vendors", ()))})
    same = ("id", "title", "severity", "owner", "changes", "minutes", "idempotent")
    return Procedure(
        **{key: meta[key] for key in same},
        path=path,
        folder="/".join(path.parent.relative_to(root).parts),
        symptoms=tuple(meta["symptoms"]),
        needs=needs,
        systems=() if meta["systems"] == "all" else tuple(meta["systems"]),
        reviewed=reviewed,
        next=tuple(meta["next"]),
        controls=controls_of(meta.get("controls", ())),
        parameters=declared,
    )


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
