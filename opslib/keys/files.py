"""Files with keys: private ones are read only where nobody else can, and written whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

from opslib.errors import ConfigError


def must_be_closed(folder: Path) -> None:
    """Refuse a folder in which others could read a key or put one of theirs.

    Raises:
        ConfigError: others may look into it, or it is not ours.
    """
    found = folder.stat()
    _must_be_ours(folder, found)
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigError(f"{folder}: others may look into it", hint=f"chmod 700 {folder}")


def read_private(path: Path) -> str:
    """Return the text of a private key, from a file that nobody else may read.

    Raises:
        ConfigError: others may read it, it is not ours, or it cannot be read.
    """
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            found = os.fstat(file.fileno())
            _must_be_ours(path, found)
            if stat.S_IMODE(found.st_mode) & 0o077:
                raise ConfigError(f"{path}: others may read this private key", hint=f"chmod 600 {path}")
            return file.read()
    except OSError as error:
        raise _unreadable(path, error) from None


def read(path: Path) -> str:
    """Return a file's text.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        raise _unreadable(path, error) from None


def write(path: Path, text: str, mode: int) -> None:
    """Write a new file with a mode, durably.

    Raises:
        OSError: there is one already, or it could not be written.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(handle)


def loaded(text: str, path: Path) -> Ed25519PrivateKey:
    """Return the private key of an OpenSSH text.

    Raises:
        ConfigError: it has a passphrase, is of another kind or damaged.
    """
    # Whatever the library says about a key it cannot read stays unsaid: it may quote from it.
    try:
        key = load_ssh_private_key(text.encode(), password=None)
    except TypeError:
        raise ConfigError(
            f"{path}: the private key has a passphrase",
            hint=f"let an SSH agent hold it: ssh-add {path}, then `opslib keys init --ssh FILE.pub`",
        ) from None
    except Exception:  # noqa: BLE001
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(
            f"{path}: is no Ed25519 private key", hint="`opslib keys init --force` makes a new one"
        ) from None
    return key


def _must_be_ours(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise ConfigError(f"{path}: belongs to another user", hint=f"chown $USER {path}, as its owner")


def _unreadable(path: Path, error: OSError) -> ConfigError:
    reason = (error.strerror or "unknown reason").lower()
    return ConfigError(f"{path}: cannot be read: {reason}", hint="name a file that your user may read")
