"""Keys that belong to a machine, not to a person: the runner's and the log's, in `OPSLIB_HOME/keys`.

They sign without anybody being asked, so they say which machine did something, never who approved it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from filelock import FileLock

from opslib import masking
from opslib.archive import store
from opslib.home import private
from opslib.keys import files
from opslib.keys.public import PublicKey


@dataclass(frozen=True)
class MachineKey:
    """A key that signs by itself.

    Args:
        public: its public part.
        private: its private part.
    """

    public: PublicKey
    private: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def of(cls, key: Ed25519PrivateKey, comment: str = "") -> MachineKey:
        """Return a key of the cryptography library as one of a machine."""
        return cls(PublicKey.of(key.public_key(), comment), key)

    @property
    def raw(self) -> bytes:
        """The public key, 32 bytes."""
        return self.public.blob[-32:]

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of an Ed25519 signature."""
        return self.private.sign(message)


def machine_key(name: str) -> MachineKey:
    """Return the key of this machine for a purpose; made when there is none yet.

    Args:
        name: the purpose, `runner` or `log`.

    Raises:
        ConfigError: others may read the private key, it is not ours, or it is damaged.
    """
    folder = private("keys")
    files.must_be_closed(folder)
    path = folder / f"{name}_ed25519"
    with FileLock(folder / f".{name}.lock"):
        if not os.path.lexists(path):
            _make(path)
    text = files.read_private(path)
    masking.register("private key", text)
    return MachineKey.of(files.loaded(text, path), name)


def replace_machine_key(name: str, vouch: Callable[[MachineKey, MachineKey], None]) -> None:
    """Put a new key of this machine in the place of the one that it has.

    Args:
        name: the purpose.
        vouch: is given the old and the new key while the old one is still in its place; if it fails, that
            stays so.

    Raises:
        ConfigError: others may read the private key, it is not ours, or it is damaged.
    """
    machine_key(name)  # one that was never there is made first
    folder = private("keys")
    path = folder / f"{name}_ed25519"
    with FileLock(folder / f".{name}.lock"):
        old = MachineKey.of(files.loaded(files.read_private(path), path), name)
        made = Ed25519PrivateKey.generate()
        vouch(old, MachineKey.of(made, name))
        _write(path, made)


def _make(path: Path) -> None:
    _write(path, Ed25519PrivateKey.generate())


def _write(path: Path, made: Ed25519PrivateKey) -> None:
    text = made.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    masking.register("private key", text)
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    files.write(beside, text, 0o600)
    # Whole or not at all: half a key would stop every run from then on.
    beside.rename(path)
    store.sync(path.parent)
