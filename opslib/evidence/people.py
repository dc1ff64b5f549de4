"""Keys of people, as OpenSSH's file `allowed_signers` has them: one a line.

ada namespaces="opslib-change,opslib-note",valid-after="20260101Z" ssh-ed25519 AAAA…
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from opslib.evidence.plain import NotSound
from opslib.evidence.runners import runner_keys

CHANGES, NOTED = "opslib-change", "opslib-note"  # for what a signature was given
_HOLDER = re.compile(
    r'([a-z][a-z0-9._-]*) namespaces="[^"]*"((?:,valid-(?:after|before)="[0-9]{8}Z")*) (ssh-.*)'
)
_TERM = re.compile(r'valid-(after|before)="([0-9]{8})Z"')


@dataclass(frozen=True)
class Holder:
    """Whose key it is, and when it counts.

    Args:
        person: id of the person.
        since: from when on; None where from ever.
        until: before when; None where for ever.
    """

    person: str
    since: datetime | None = None
    until: datetime | None = None

    @property
    def line(self) -> str:
        """What stands before the key in its line."""
        terms = {"after": self.since, "before": self.until}
        told = "".join(f',valid-{name}="{day:%Y%m%d}Z"' for name, day in terms.items() if day)
        return f'{self.person} namespaces="{CHANGES},{NOTED}"{told}'

    def held(self, at: datetime) -> bool:
        """Say whether the key counted at a moment."""
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)


def people_keys(text: str) -> Mapping[str, Holder]:
    """Return fingerprint -> holder of all lines; empty lines and remarks are passed over.

    Raises:
        NotSound: a line is of another form; the message has its number.
    """
    found: dict[str, Holder] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.startswith("#"):
            try:
                found.update(_held_key(line))
            except NotSound:
                raise NotSound(f"line {number} of the people's keys is not understood") from None
    return found


def _held_key(line: str) -> Mapping[str, Holder]:
    parts = _HOLDER.fullmatch(line)
    if not parts:
        raise NotSound("it has another form")
    terms = {name: _day(text) for name, text in _TERM.findall(parts[2])}
    holder = Holder(parts[1], terms.get("after"), terms.get("before"))
    return dict.fromkeys(runner_keys(parts[3]), holder)


def _day(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise NotSound(f"{text} is no day") from None
