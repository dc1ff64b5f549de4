"""The key of whoever works here: made once, private, in `OPSLIB_HOME/keys`.

id_ed25519, id_ed25519.pub    a key of opslib's own, as ssh-keygen would write it
ssh.pub                       or: the public part of an SSH key that an agent holds; behind it stands
                              the file that it was taken from, as the private part may lie beside
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_ssh_private_key,
)

from opslib import masking
from opslib.errors import ConfigError, Refused, UsageError
from opslib.home import private
from opslib.keys import agent, sshsig
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
    _write(folder / _OWN, text, 0o600)
    _write(folder / _PUBLIC, f"{public.line}\n", 0o644)
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
    _write(folder / _SSH, f"{key.line}\n", 0o600)
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
    _closed(folder)
    kept = PublicKey.parse(_read(folder / _SSH))
    return _signing(kept, Path(kept.comment) if kept.comment else folder / _SSH, folder / _SSH)


def _signing(key: PublicKey, source: Path, kept: Path) -> Signer:
    return Signer(key, f"in the SSH agent, or beside {source}", agent.signing(key, source, kept))


def _public_text(path: Path) -> str:
    text = _read(path)
    if "PRIVATE KEY" in text:
        raise UsageError(f"{path} is the private part of a key", hint=f"give its public part: {path}.pub")
    return text


def _own(folder: Path) -> Signer:
    _closed(folder)
    path = folder / _OWN
    text = _read_private(path)
    masking.register("private key", text)
    key = _loaded(text, path)

    def how(payload: bytes, namespace: str) -> str:
        return sshsig.made(payload, namespace, public, key.sign)

    public = PublicKey.of(key.public_key(), _comment(folder))
    return Signer(public, str(path), how)


def _loaded(text: str, path: Path) -> Ed25519PrivateKey:
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


def _comment(folder: Path) -> str:
    with suppress(ConfigError):
        return PublicKey.parse(_read(folder / _PUBLIC)).comment
    return ""


def _free_folder(force: bool) -> Path:
    """Return the folder of keys, unless one is there already."""
    folder = private("keys")
    _closed(folder)
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


def _closed(folder: Path) -> None:
    """Refuse a folder in which others could read a key or put one of theirs."""
    found = folder.stat()
    _must_be_ours(folder, found)
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigError(f"{folder}: others may look into it", hint=f"chmod 700 {folder}")


def _must_be_ours(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise ConfigError(f"{path}: belongs to another user", hint=f"chown $USER {path}, as its owner")


def _read_private(path: Path) -> str:
    """Return the private key, from a file that nobody else may read."""
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            found = os.fstat(file.fileno())
            _must_be_ours(path, found)
            if stat.S_IMODE(found.st_mode) & 0o077:
                raise ConfigError(f"{path}: others may read this private key", hint=f"chmod 600 {path}")
            return file.read()
    except OSError as error:
        raise _unreadable(path, error) from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> ConfigError:
    reason = (error.strerror or "unknown reason").lower()
    return ConfigError(f"{path}: cannot be read: {reason}", hint="name a file that your user may read")


def _write(path: Path, text: str, mode: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(handle)


def _remark(name: str) -> str:
    if not name.strip() or not name.isprintable():
        raise UsageError("a name is needed, on one line", hint="give --name")
    return f"{'-'.join(name.split())}@{socket.gethostname()}"
