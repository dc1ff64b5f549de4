"""What an undo needs and a plan must not hold: former values, encrypted, on this machine only.

The key is a private file beside the person's own. Without it the undo is refused, never guessed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from opslib import home, masking
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
    """
    path = _place(digest, place, label)
    content = _cipher().encrypt(value.encode())
    masking.register(f"kept-{label}", value)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def get(digest: str, place: str, label: str) -> str:
    """Return one value.

    Raises:
        Refused: it is not kept here, or cannot be decrypted.
    """
    from cryptography.fernet import InvalidToken

    path = _place(digest, place, label)
    hint = "undo on the machine, and as the user, that made the change"
    try:
        value = _cipher().decrypt(path.read_bytes()).decode()
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
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return Fernet(path.read_bytes())
    with os.fdopen(handle, "wb") as file:
        file.write(Fernet.generate_key())
    return Fernet(path.read_bytes())
