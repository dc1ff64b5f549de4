"""What became of a plan."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum


class State(StrEnum):
    """What became of one target."""

    DONE = "done"
    ALREADY_DONE = "already done"
    LEFT_OUT = "left out"
    FAILED = "failed"
    UNCLEAR = "unclear"  # it may have taken place; the next application settles it by looking
    NOT_BEGUN = "not begun"  # somebody else is at it, or there is no way in
    TAKEN_BACK = "taken back"
    NOT_REACHED = "not reached"


@dataclass(frozen=True)
class Result:
    """What became of one target, and why.

    Args:
        target: its name.
        state: what became of it.
        at: when it was done, RFC 3339; "" when it was not.
        text: why, or what was seen.
        act: the act in one line.
    """

    target: str
    state: State
    at: str = ""
    text: str = ""
    act: str = ""

    def to_dict(self) -> dict[str, str]:
        """The result as the JSON contract has it, under `changed`."""
        return {name: str(value) for name, value in asdict(self).items()}
