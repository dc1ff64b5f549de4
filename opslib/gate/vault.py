"""What an undo needs and a plan must not hold: former values, encrypted, on this machine only.

The key is a private file beside the person's own. Without it the undo is refused, never guessed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from opslib import home, masking
from opslib.archive import shared, store
from opslib.errors import Refused

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


def keep(digest: str, place: str, label: str, value: str) -> None:
    """Keep one value.

    Args:
        digest: the plan's.
        place: what identifies the target, as `Target.place`.
        label: name of the value in the undo act.
        value: what to keep.

    Raises:
        ArchiveError, DiskFull: it could not be kept.
        Refused: the key for it is damaged.
    """
    masking.register(f"kept-{label}", value)
    with store.plainly(home.home()):
        path = _place(digest, place, label)
        shared.replace(path, _cipher().encrypt(value.encode()), mode=0o600)


def get(digest: str, place: str, label: str) -> str:
    """Return one value.

    Raises:
        Refused: it is not kept here, or cannot be decrypted.
    """
    from cryptography.fernet import InvalidToken

    path = _place(digest, place, label)
    hint = "undo on the machine, and as the user, that made the change"
    try:
        with store.plainly(home.home()):
            cipher = _cipher()
        value = cipher.decrypt(path.read_bytes()).decode()
    except FileNotFoundError:
        raise Refused("the former value is not kept on this machine", hint=hint) from None
    except InvalidToken:
        raise Refused(f"{path}: the former value cannot be decrypted here", hint=hint) from None
    masking.register(f"kept-{label}", value)
    return value


def _place(digest: str, place: str, label: str) -> Path:
    folder = home.private("keepsakes") / digest.removeprefix("sha256:")[:32]
    folder.mkdir(mode=0o700, exist_ok=True)
    safe = "".join(letter if letter.isalnum() else "-" for letter in label)
    return folder / f"{place.removeprefix('sha256:')[:32]}-{safe}"


def _cipher() -> Fernet:
    from cryptography.fernet import Fernet

    path = home.private("keys") / "keepsakes.key"
    if not path.exists():
        shared.create(path, Fernet.generate_key(), mode=0o600)
    try:
        return Fernet(path.read_bytes())
    except ValueError:
        hint = "the values kept with it are lost; move it away, and the next change makes a new one"
        raise Refused(f"{path}: is no key for former values", hint=hint) from None
