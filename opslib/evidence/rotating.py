"""Put a new key of this machine in the place of one; each log learns of it when it is next written.

The old private key is gone afterwards. What both have signed stays in `OPSLIB_HOME/keys`.
"""

from __future__ import annotations

from pathlib import Path

from opslib import ids
from opslib.archive import shared
from opslib.errors import ConfigError
from opslib.evidence.events import KeyRotated, decode_event, encode_event
from opslib.evidence.plain import NotSound
from opslib.evidence.signing import rotation
from opslib.home import private
from opslib.keys.machine import MachineKey, replace_machine_key


def rotate(role: str) -> KeyRotated:
    """Make a new key of this machine and return what both keys have signed.

    Args:
        role: `runner` or `log`.

    Raises:
        ConfigError: the old key cannot be used.
        ArchiveError, OSError: it could not be written; the old key is still in its place.
    """
    made: list[KeyRotated] = []

    def vouch(old: MachineKey, new: MachineKey) -> None:
        made.append(rotation(ids.now(), role, old, new))
        shared.append(_place(role), encode_event(made[0]))

    replace_machine_key(role, vouch)
    return made[0]


def rotated(role: str, current: MachineKey) -> list[KeyRotated]:
    """Return the rotations that led to a key, the oldest first.

    Args:
        role: `runner` or `log`.
        current: the key that this machine has now.

    Raises:
        ConfigError: they cannot be read.
    """
    lines = shared.read(_place(role)).split(b"\n")[:-1]
    try:
        events = [decode_event(line) for line in lines]
    except NotSound as error:
        raise ConfigError(f"{_place(role)}: {error}", hint="restore it from a back-up") from None
    wanted, found = current.public.text, []
    # Whoever died before the new key was in its place has left a rotation that leads nowhere.
    for event in reversed(events):
        if isinstance(event, KeyRotated) and event.new == wanted:
            found.append(event)
            wanted = event.old
    return found[::-1]


def _place(role: str) -> Path:
    return private("keys") / f"{role}.rotations"
