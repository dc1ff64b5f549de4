"""What a system asks for every day, week, month and quarter."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from opslib.config.fields import Part, Scalar, Text, wrong


class RoutineItem(Part):
    """One item of a routine.

    Args:
        id: stable within the routine; records refer to it.
        title: as the runbook words it.
        procedure: id of the procedure that does it; None when only a person can.
        parameters: what the procedure is given besides system and environment.
        by: `procedure`, or `person` for an attestation.
        source: the runbook's heading.
    """

    id: Text
    title: Text
    procedure: Text | None = None
    parameters: dict[str, Scalar] = Field(default_factory=dict)
    by: Literal["procedure", "person"] = "procedure"
    source: str = ""

    @model_validator(mode="after")
    def _is_done_by_someone(self) -> RoutineItem:
        if self.by == "procedure" and not self.procedure:
            raise wrong("an item needs `procedure: <id>`, or `by: person`")
        if self.by == "person" and self.procedure:
            raise wrong("an item by a person has no procedure: keep one of the two")
        return self


class Routine(Part):
    """The items that are due together.

    Args:
        name: daily, weekly, monthly or quarterly; taken from its key in the file.
        source: the runbook's heading, or that it is opslib's own default.
        when: in the runbook's words, e.g. `Monday morning`.
        items: in the runbook's order.
    """

    name: str = ""
    source: Text
    when: str = ""
    items: tuple[RoutineItem, ...]

    @field_validator("items")
    @classmethod
    def _ids_differ(cls, items: tuple[RoutineItem, ...]) -> tuple[RoutineItem, ...]:
        ids = [item.id for item in items]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise wrong(f"two items have the id {twice[0]}")
        return items

    def named(self, name: str) -> Routine:
        """Return the routine under its name, each item with a source."""
        items = tuple(item.model_copy(update={"source": item.source or self.source}) for item in self.items)
        return self.model_copy(update={"name": name, "items": items})
