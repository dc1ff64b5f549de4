"""The two files of a new procedure: a notebook, and how to break what it looks at.

What is written works as it is: the notebook has the required shape and runs, its scenario breaks
the sandbox and is found.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from opslib import catalog, ids
from opslib.errors import UsageError
from opslib.runner import origin

_PROCEDURE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

_CARD = """# {title}

**Use it when** an alert or a person says: {words}.
**Not when** the whole site is down{elsewhere}. It reads only.

| you see | it means | do |
|---|---|---|
| ok | every endpoint answers in time | look elsewhere |
| warning or critical | an answer is slow or wrong | read the findings below |
| unknown | nothing answered, so nothing is known | find out why it cannot be looked at |"""

_PARAMETERS = """system: str = "kulti"  # which system (a file in parameters/systems)
environment: str = "sandbox"  # which of its environments
samples: int = 3  # samples per endpoint, 1-50"""

_START = """from opslib import start

ops = start("{procedure}", system=system, environment=environment)"""

_LOOK = """probe = ops.site.probe(samples=samples)
ops.show(probe[["endpoint", "status_code", "ms", "error"]])"""

_ERRORS = """errors = probe[probe["status_code"] >= 400]
ops.check.none(errors, check="answers", expected="no answer is an error")"""

_TIME = """limit = ops.limit("response_ms")
answered = probe[probe["status_code"] > 0]
ops.check.below(answered, "ms", check="response-time", warning=limit.warning, critical=limit.critical,
                unit="ms", expected="the slowest answer is below the limit")"""

_SCENARIOS = '''"""How to break the sandbox for `{procedure}`, and what must then be found."""

from __future__ import annotations

from opslib.sandbox.scenario import Scenario, World
from opslib.verdict import Status


def make(world: World, system: str) -> None:
    """Close the port of the system's app: nothing answers any more."""
    world.web.listen(system, False)


def heal(world: World, system: str) -> None:
    """Open the port again."""
    world.web.listen(system, True)


# One source alone cannot tell a dead app from a dead network: the verdict is unknown, without a cause.
SCENARIOS = (
    Scenario(
        id="{procedure}-silent",
        text="nothing answers at the app's address",
        make=make,
        heal=heal,
        expects={{"{procedure}": (Status.UNKNOWN, "")}},
    ),
)
'''


def new_procedure(
    name: str, folder: str, *, title: str = "", notebooks: Path | None = None, scenarios: Path | None = None
) -> tuple[Path, Path]:
    """Write a procedure's notebook and scenario file.

    Args:
        name: the procedure's id, small letters and dashes.
        folder: part of the catalogue.
        title: the symptom; default made from the name.
        notebooks: the folder of all notebooks; default as the catalogue finds it.
        scenarios: the folder of scenario files; default that of the checkout, else of the package.

    Returns:
        The two files.

    Raises:
        UsageError: the name is not usable, or one of the files is there already.
    """
    if not _PROCEDURE.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name for a procedure", hint="small letters, digits, dashes: queue-backlog"
        )
    if not _PROCEDURE.fullmatch(folder):
        raise UsageError(
            f"{folder!r} is no name for a folder", hint="small letters, digits, dashes: diagnose"
        )
    root = notebooks or catalog.find_notebooks()
    if name in catalog.load(root).ids:
        raise UsageError(f"there is a procedure {name} already", hint="see `opslib list`")
    notebook = root / folder / f"{name}.ipynb"
    scenario = (scenarios or _scenarios(root)) / f"{name.replace('-', '_')}.py"
    text = json.dumps(_notebook(name, title or _title(name), root, notebook), indent=1, ensure_ascii=False)
    _write(notebook, text + "\n")
    _write(scenario, _SCENARIOS.format(procedure=name))
    return notebook, scenario


def _scenarios(notebooks: Path) -> Path:
    """Return where scenarios belong: in the checkout that the notebooks are in, else in the package."""
    beside = notebooks.parent / "opslib" / "sandbox" / "scenarios"
    return beside if beside.is_dir() else Path(__file__).parent / "sandbox" / "scenarios"


def _title(name: str) -> str:
    return name.replace("-", " ").capitalize()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(
            f"{path} is there already", hint="choose another name, or remove the file"
        ) from error


def _notebook(name: str, title: str, root: Path, path: Path) -> dict[str, Any]:
    links = _links(root, path)
    elsewhere = f": then [{links[0][0]}]({links[0][1]})" if links else ""
    further = ", ".join(f"[{other}]({target})" for other, target in links[:3]) or "ask the owner of this page"
    cells = [
        _text(_CARD.format(title=title, words=title[0].lower() + title[1:], elsewhere=elsewhere)),
        _code(_PARAMETERS, tags=["parameters"]),
        _code(_START.format(procedure=name)),
        _text("## What answers\n\nGood: every endpoint answers with 200."),
        _code(_LOOK),
        _text("Good: no answer is an error (a status of 400 or more)."),
        _code(_ERRORS),
        _text("## How long it takes\n\nGood: the slowest answer stays below the limit of the system's file."),
        _code(_TIME),
        _text("## Findings\n\nGood: every line says ok."),
        _code("ops.findings()"),
        _text(f"## Not fixed?\n\nGo on with {further}."),
        _code("ops.finish()"),
    ]
    for number, cell in enumerate(cells):
        cell["id"] = f"{name[:50]}-{number:02}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    meta = {"kernelspec": kernel, "language_info": {"name": "python"}, "opslib": _metadata(name, title)}
    return {"cells": cells, "metadata": meta, "nbformat": 4, "nbformat_minor": 5}


def _metadata(name: str, title: str) -> dict[str, Any]:
    return {
        "id": name,
        "title": title,
        "symptoms": [title],
        "severity": "P2",
        "owner": origin.user(),
        "changes": False,
        "needs": {"database": False, "site": True, "vendors": [], "status_pages": False},
        "systems": "all",
        "minutes": 1,
        "idempotent": True,
        "reviewed": f"{ids.now():%Y-%m-%d}",
        "next": [],
        "controls": [],
    }


def _links(root: Path, path: Path) -> list[tuple[str, str]]:
    """Return (id, relative path) of procedures to go on with, the general ones first."""
    first = ("site-down", "health-check")
    others = sorted(catalog.load(root).procedures, key=lambda p: (p.id not in first, p.id))
    return [(p.id, Path(os.path.relpath(p.path, path.parent)).as_posix()) for p in others]


def _text(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": "", "metadata": {}, "source": source.splitlines(keepends=True)}


def _code(source: str, tags: list[str] | None = None) -> dict[str, Any]:
    lines = source.splitlines(keepends=True)
    meta = {"tags": tags} if tags else {}
    kind = {"cell_type": "code", "execution_count": None, "id": ""}
    return {**kind, "metadata": meta, "outputs": [], "source": lines}
