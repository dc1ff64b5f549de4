"""Keys that belong to a machine, not to a person: the runner's and the log's, in `OPSLIB_HOME/keys`.

They sign without anybody being asked, so they say which machine did something, never who approved it.
"""

from __future__ import annotations

import os
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


def _make(path: Path) -> None:
    made = Ed25519PrivateKey.generate()
    text = made.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    files.write(beside, text, 0o600)
    # Whole or not at all: half a key would stop every run from then on.
    beside.rename(path)
    store.sync(path.parent)
