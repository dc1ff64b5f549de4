"""`parameters/retention.yml`: how long records are kept. Without the file, nothing is ever destroyed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from opslib.config.fields import Part, Text, wrong
from opslib.config.loader import parameters_folder
from opslib.config.source import read
from opslib.config.validate import validated

FILE = "retention.yml"
_Days = Annotated[int, Field(strict=True, ge=1, le=100_000)]


class RetentionClass(Part):
    """How long records of some runs are kept.

    Args:
        id: such as `ops-1y`; the log names it, so it never comes to mean something else.
        days: counted from when a run began.
        failure_days: the same for runs that were not ok; default as long.
        at_least: so many of the newest records of a procedure, system and environment are always kept.
        procedures: only their runs; default all.
        environments: only runs there; default all.
        retired: nothing is destroyed by it any more, but something was.
    """

    id: Annotated[Text, Field(pattern=r"^[A-Za-z0-9._-]+$")]
    days: _Days
    failure_days: _Days | None = None
    at_least: Annotated[int, Field(strict=True, ge=0)] = 1
    procedures: tuple[Text, ...] = ()
    environments: tuple[Text, ...] = ()
    retired: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _failures_stay_longer(self) -> RetentionClass:
        if self.failure_days is not None and self.failure_days < self.days:
            raise wrong("failure_days is less than days: what went wrong is asked for longest")
        return self


class _File(Part):
    """The classes; the first that fits a run decides."""

    classes: tuple[RetentionClass, ...]


def load_retention(root: Path | None = None) -> tuple[RetentionClass, ...] | None:
    """Read and check the classes of retention; None where there is no file.

    Args:
        root: the folder `parameters` or the project around it; default as `find_parameters`.

    Raises:
        ConfigError: the file is wrong; the message names file, line and key.
    """
    path = parameters_folder(root) / FILE
    if not path.exists():
        return None
    document = read(path)
    classes = validated(_File, document).classes
    ids = [one.id for one in classes]
    for index, name in enumerate(ids):
        if name in ids[:index]:
            raise document.error(("classes", index, "id"), f"{name} is the id of another class too")
    return classes
