"""`parameters/schedule.yml`: what runs when."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field, model_validator

from opslib.config.fields import Number, Part, Scalar, Text, wrong
from opslib.config.hours import Zone
from opslib.config.loader import list_systems, load_system, parameters_folder
from opslib.config.model import SANDBOX, System
from opslib.config.source import Document, read
from opslib.config.validate import close, validated

FILE = "schedule.yml"
_INHERITED = ("owner", "timezone", "environment", "latest_start_minutes", "catch_up")


def _cron(text: str) -> str:
    fields = len(text.split())
    if fields != 5:
        raise wrong(f"a cron line has five fields (minute hour day month weekday), this one has {fields}")
    try:
        next(CronSim(text, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise wrong(f"not a cron line: {str(error).lower()}") from None
    except StopIteration:
        raise wrong("this cron line never comes due") from None
    return text


Cron = Annotated[Text, AfterValidator(_cron)]


class Slot(Part):
    """One entry of the schedule.

    Args:
        id: stable; the archive knows its runs by it.
        procedure, routine: what runs; exactly one of the two.
        system: on which system.
        environment: in which environment; default the sandbox.
        cron: five fields.
        timezone: IANA name in which the fields are meant.
        parameters: what the procedure is given besides system and environment.
        latest_start_minutes: how late it may still begin; after that it counts as missed.
        catch_up: `last` runs the latest missed time once, `skip` runs none.
        owner: who looks at the result.
    """

    id: Text
    procedure: Text | None = None
    routine: Text | None = None
    system: Text
    environment: Text = SANDBOX
    cron: Cron
    timezone: Zone = "UTC"
    parameters: dict[str, Scalar] = Field(default_factory=dict)
    latest_start_minutes: Number = 60
    catch_up: Literal["last", "skip"] = "last"
    owner: Text

    @model_validator(mode="after")
    def _runs_one_thing(self) -> Slot:
        if (self.procedure is None) == (self.routine is None):
            raise wrong("a slot has either `procedure` or `routine`")
        return self


class _File(Part):
    """The file: values for all slots, then the slots."""

    owner: Text | None = None
    timezone: Zone = "UTC"
    environment: Text = SANDBOX
    latest_start_minutes: Number = 60
    catch_up: Literal["last", "skip"] = "last"
    slots: tuple[Slot, ...] = ()


def schedule_file(root: Path | None = None) -> Path:
    """Return where the schedule stands; the file need not be there.

    Args:
        root: the folder `parameters` or the project around it; default as `find_parameters`.
    """
    return parameters_folder(root) / FILE


def load_schedule(root: Path | None = None) -> tuple[Slot, ...]:
    """Read and check the schedule; without a file nothing is scheduled.

    Args:
        root: the folder `parameters` or the project around it; default as `find_parameters`.

    Raises:
        ConfigError: the file is wrong, or names a system, environment or routine that does not exist.
    """
    path = schedule_file(root)
    if not path.exists():
        return ()
    document = _with_inherited(read(path))
    slots = validated(_File, document).slots
    _check_ids(slots, document)
    _check_targets(slots, document, path.parent)
    return slots


def _with_inherited(document: Document) -> Document:
    """Give each slot the values that stand above all slots."""
    above = {key: document.data[key] for key in _INHERITED if document.data.get(key) is not None}
    slots = document.data.get("slots")
    if not isinstance(slots, list):
        return document
    full = [{**above, **slot} if isinstance(slot, dict) else slot for slot in slots]
    return Document(document.path, {**document.data, "slots": full}, document.lines)


def _check_ids(slots: Iterable[Slot], document: Document) -> None:
    seen: dict[str, int] = {}
    for index, slot in enumerate(slots):
        if slot.id in seen:
            line = document.line(("slots", seen[slot.id]))
            raise document.error(
                ("slots", index, "id"), f"{slot.id} is the id of the slot on line {line} too"
            )
        seen[slot.id] = index


def _check_targets(slots: Iterable[Slot], document: Document, root: Path) -> None:
    names = list_systems(root)
    systems: dict[str, System] = {}
    for index, slot in enumerate(slots):
        at = ("slots", index)
        _must_be(slot.system, names, "system", document, (*at, "system"))
        if slot.system not in systems:
            systems[slot.system] = load_system(slot.system, root)
        system = systems[slot.system]
        where = f"environment of {slot.system}"
        _must_be(slot.environment, system.environment_names, where, document, (*at, "environment"))
        if slot.routine:
            _must_be(slot.routine, system.routines, f"routine of {slot.system}", document, (*at, "routine"))


def _must_be(name: str, known: Any, what: str, document: Document, where: tuple[str | int, ...]) -> None:
    if name not in known:
        guess = close(name, known)
        hint = f"did you mean {guess}?" if guess else f"there is: {', '.join(known) or 'none'}"
        raise document.error(where, f"{name!r} is no {what}", hint)
