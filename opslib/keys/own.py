"""The key of whoever works here: made once, private, in `OPSLIB_HOME/keys`.

id_ed25519, id_ed25519.pub    a key of opslib's own, as ssh-keygen would write it
ssh.pub                       or: the public part of an SSH key that an agent holds; behind it stands
                              the file that it was taken from, as the private part may lie beside
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from opslib import masking
from opslib.errors import ConfigError, Refused, UsageError
from opslib.home import private
from opslib.keys import agent, files, sshsig
from opslib.keys.public import PublicKey

_OWN, _PUBLIC, _SSH = "id_ed25519", "id_ed25519.pub", "ssh.pub"


@dataclass(frozen=True)
class Signer:
    """A key that can sign.

    Args:
        key: its public part.
        private: where the private part is, for a person.
        how: makes an armoured signature of a payload for a namespace.
    """

    key: PublicKey
    private: str
    how: Callable[[bytes, str], str] = field(repr=False)

    @property
    def public(self) -> str:
        """The public key, `ssh-ed25519 AAAA…`."""
        return self.key.text

    @property
    def fingerprint(self) -> str:
        """`SHA256:…` of the public key."""
        return self.key.fingerprint

    def sign(self, payload: bytes, namespace: str) -> str:
        """Return an armoured signature.

        Args:
            payload: what is signed.
            namespace: the purpose, such as `opslib-approval`.

        Raises:
            Refused: an SSH key was lent and cannot sign now.
        """
        signature = self.how(payload, namespace)
        if sshsig.verify(payload, signature, namespace) != self.public:
            raise Refused(f"another key than {self.fingerprint} has signed", hint="see `opslib keys show`")
        return signature


def init(name: str, *, force: bool = False) -> PublicKey:
    """Make a key.

    Args:
        name: whose it is; stands behind the public key, with the name of this machine.
        force: put it in the place of the one that is there.

    Raises:
        Refused: there is a key already.
    """
    folder = _free_folder(force)
    made = Ed25519PrivateKey.generate()
    text = made.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    masking.register("private key", text)
    public = PublicKey.of(made.public_key(), _remark(name))
    _clear(folder)
    files.write(folder / _OWN, text, 0o600)
    files.write(folder / _PUBLIC, f"{public.line}\n", 0o644)
    return public


def use_ssh(path: Path, *, force: bool = False) -> PublicKey:
    """Sign with an SSH key from now on: only its public part is kept here. It signs once, to show it can.

    Args:
        path: the file `*.pub`; the private part is in an agent, or in the file beside it.
        force: put it in the place of the key that is there.

    Raises:
        BadKey: the file holds no Ed25519 public key.
        ConfigError: it cannot be read.
        Refused: there is a key already, or no agent signs with this one.
    """
    path = path.expanduser().absolute()
    key = PublicKey(PublicKey.parse(_public_text(path)).text, str(path))
    folder = _free_folder(force)
    _signing(key, path, path).sign(b"", "opslib-try")
    _clear(folder)
    files.write(folder / _SSH, f"{key.line}\n", 0o600)
    return key


def own() -> Signer | None:
    """Return the key of whoever works here; None when there is none yet.

    Raises:
        ConfigError: others may read the private key, it is not ours, or it is damaged.
    """
    folder = private("keys")
    if (folder / _SSH).exists():
        return _lent(folder)
    if (folder / _OWN).exists():
        return _own(folder)
    return None


def _lent(folder: Path) -> Signer:
    files.must_be_closed(folder)
    kept = PublicKey.parse(files.read(folder / _SSH))
    return _signing(kept, Path(kept.comment) if kept.comment else folder / _SSH, folder / _SSH)


def _signing(key: PublicKey, source: Path, kept: Path) -> Signer:
    return Signer(key, f"in the SSH agent, or beside {source}", agent.signing(key, source, kept))


def _public_text(path: Path) -> str:
    text = files.read(path)
    if "PRIVATE KEY" in text:
        raise UsageError(f"{path} is the private part of a key", hint=f"give its public part: {path}.pub")
    return text


def _own(folder: Path) -> Signer:
    files.must_be_closed(folder)
    path = folder / _OWN
    text = files.read_private(path)
    masking.register("private key", text)
    key = files.loaded(text, path)

    def how(payload: bytes, namespace: str) -> str:
        return sshsig.made(payload, namespace, public, key.sign)

    public = PublicKey.of(key.public_key(), _comment(folder))
    return Signer(public, str(path), how)


def _comment(folder: Path) -> str:
    with suppress(ConfigError):
        return PublicKey.parse(files.read(folder / _PUBLIC)).comment
    return ""


def _free_folder(force: bool) -> Path:
    """Return the folder of keys, unless one is there already."""
    folder = private("keys")
    files.must_be_closed(folder)
    there = [name for name in (_SSH, _OWN) if os.path.lexists(folder / name)]
    if there and not force:
        raise Refused(
            f"there is a key already: {folder / there[0]}",
            hint="`opslib keys show` shows it; --force puts a new one in its place",
        )
    return folder


def _clear(folder: Path) -> None:
    for name in (_SSH, _OWN, _PUBLIC):
        (folder / name).unlink(missing_ok=True)


def _remark(name: str) -> str:
    if not name.strip() or not name.isprintable():
        raise UsageError("a name is needed, on one line", hint="give --name")
    return f"{'-'.join(name.split())}@{socket.gethostname()}"
