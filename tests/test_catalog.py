"""The catalogue is what the notebooks say of themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opslib import catalog
from opslib.errors import ConfigError, ParameterError, UnknownName

META: dict[str, Any] = {
    "id": "too-warm",
    "title": "The server room is too warm",
    "symptoms": ["fan failure", "HTTP 503 from the thermostat"],
    "severity": "P2",
    "owner": "on-call",
    "changes": False,
    "needs": {"database": True, "site": False, "vendors": [], "status_pages": False},
    "systems": "all",
    "minutes": 2,
    "idempotent": True,
    "reviewed": "2026-11-21",
    "next": [],
    "controls": [],
}
CELL = 'system: str = "kulti"  # which system\nsamples: int = 3  # samples, 1-9\n'


def write(folder: Path, meta: dict[str, Any], cell: str = CELL, name: str = "") -> Path:
    """Write a notebook with this metadata and parameters cell."""
    path = folder / "monitor" / f"{name or meta.get('id', 'x')}.ipynb"
    path.parent.mkdir(exist_ok=True)
    code = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": cell.splitlines(True)}
    document = {"cells": [code], "metadata": {"opslib": meta}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_a_new_notebook_is_found_without_any_list(tmp_path: Path) -> None:
    """Writing the file is all it takes."""
    write(tmp_path, META)
    found = catalog.load(tmp_path).get("too-warm")
    assert (found.folder, found.title, found.systems) == ("monitor", META["title"], ())
    assert [p.name for p in found.parameters] == ["system", "samples"]
    assert found.needs.database and not found.needs.site


def test_a_procedure_is_found_by_its_symptom_in_any_case(tmp_path: Path) -> None:
    """People paste what they saw."""
    write(tmp_path, META)
    loaded = catalog.load(tmp_path)
    assert [p.id for p in loaded.for_symptom("FAN failure")] == ["too-warm"]
    assert loaded.for_symptom("fan pump") == ()


def test_an_unknown_procedure_is_refused_with_the_near_ones(tmp_path: Path) -> None:
    """At night fingers slip."""
    write(tmp_path, META)
    with pytest.raises(UnknownName, match="no procedure to-warm; did you mean too-warm"):
        catalog.load(tmp_path).get("to-warm")


def test_a_wrong_parameter_names_the_procedure(tmp_path: Path) -> None:
    """The message says which notebook refused it."""
    write(tmp_path, META)
    with pytest.raises(ParameterError, match="too-warm: parameter samples: '99'"):
        catalog.load(tmp_path).get("too-warm").parse({"samples": "99"})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"id": "other"}, "id: 'other' is not the file's name"),
        ({"severity": "P9"}, "severity: not one of"),
        ({"symptoms": "fan"}, "symptoms: 'fan' is not of type list"),
        ({"symptoms": [1]}, "symptoms: not a list of texts"),
        ({"systems": "some"}, 'systems: neither "all"'),
        ({"needs": {"databse": True}}, "needs.databse: no such need; did you mean database"),
        ({"needs": {"site": 1}}, "needs.site: 1 is not of type bool"),
        ({"minutes": True}, "minutes: True is not of type"),
        ({"cell_minutes": "10"}, "cell_minutes: '10' is not of type int or float"),
        ({"cell_minute": 10}, "cell_minute: no such key; did you mean cell_minutes"),
        ({"cell_minutes": 0}, "cell_minutes: 0 is no number above 0"),
        ({"cell_minutes": 2000}, "cell_minutes: 2000 is no number above 0 and up to 1440"),
        ({"usual": ["samples"]}, "usual: ['samples'] is not of type dict"),
        ({"usual": {"sample": 3}}, "usual: too-warm: there is no parameter sample"),
        ({"usual": {"samples": 99}}, "usual: too-warm: parameter samples: 99"),
        ({"reviewed": "yesterday"}, "reviewed: not a date"),
    ],
)
def test_wrong_metadata_names_file_and_key(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    """Whoever wrote the notebook can mend it from the message alone."""
    path = write(tmp_path, {**META, **change}, name="too-warm")
    with pytest.raises(ConfigError) as caught:
        catalog.read(path, tmp_path)
    assert str(path) in caught.value.message and says in caught.value.message


def test_a_wrong_parameters_cell_names_the_file(tmp_path: Path) -> None:
    """The reader of the cell does not know the file; the catalogue does."""
    path = write(tmp_path, META, cell="n = 3\n")
    with pytest.raises(ConfigError, match=str(path)):
        catalog.read(path, tmp_path)


def test_a_wrong_notebook_does_not_hide_the_others(tmp_path: Path) -> None:
    """One slip in one file must not take the whole catalogue away at night."""
    write(tmp_path, META)
    (tmp_path / "monitor" / "broken.ipynb").write_text("{", encoding="utf-8")
    loaded = catalog.load(tmp_path)
    assert [p.id for p in loaded.procedures] == ["too-warm"]
    with pytest.raises(ConfigError, match=r"broken\.ipynb: not a notebook"):
        loaded.get("broken")


def test_an_id_used_twice_is_told(tmp_path: Path) -> None:
    """Two notebooks of one name would make the record ambiguous."""
    write(tmp_path, META)
    (tmp_path / "other").mkdir()
    copy = tmp_path / "other" / "too-warm.ipynb"
    copy.write_bytes((tmp_path / "monitor" / "too-warm.ipynb").read_bytes())
    assert "is also that of" in catalog.load(tmp_path).problems["too-warm"].message


def test_checkpoints_of_jupyter_are_not_procedures(tmp_path: Path) -> None:
    """JupyterLab leaves copies in hidden folders."""
    path = write(tmp_path, META)
    hidden = tmp_path / "monitor" / ".ipynb_checkpoints"
    hidden.mkdir()
    (hidden / "too-warm-checkpoint.ipynb").write_bytes(path.read_bytes())
    assert not catalog.load(tmp_path).problems
