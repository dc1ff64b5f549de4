"""Have an SSH agent sign, through `ssh-keygen -Y sign`: the private key never comes here."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from opslib.errors import ConfigError, Refused
from opslib.keys.public import PublicKey

_TOOL = "ssh-keygen"
_SECONDS = 120  # an agent may ask its user, who has to find the window


def signing(key: PublicKey, source: Path, kept: Path) -> Callable[[bytes, str], str]:
    """Return what signs with an SSH key.

    Args:
        key: its public part.
        source: the file that it was taken from; the private part may lie beside it.
        kept: our own copy of the public part, for when that file is gone or another.
    """

    def sign(payload: bytes, namespace: str) -> str:
        return _asked(payload, namespace, source if _holds(source, key) else kept, key)

    return sign


def _holds(path: Path, key: PublicKey) -> bool:
    try:
        return PublicKey.parse(path.read_text(encoding="utf-8")).text == key.text
    except (OSError, ValueError, ConfigError):
        return False


def _asked(payload: bytes, namespace: str, public: Path, key: PublicKey) -> str:
    tool = shutil.which(_TOOL)
    if tool is None:
        raise Refused(
            f"{_TOOL} is not installed, and only it can have your SSH agent sign",
            hint="install OpenSSH's client, or make a key of opslib's own: `opslib keys init --force`",
        )
    command = [tool, "-Y", "sign", "-n", namespace, "-f", str(public)]
    try:
        done = subprocess.run(command, input=payload, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise Refused(
            f"the SSH agent has not signed within {_SECONDS} s", hint="confirm it in time, then try again"
        ) from None
    if done.returncode:
        raise _failed(key, done.stderr)
    return done.stdout.decode("ascii", "replace")


def _failed(key: PublicKey, said: bytes) -> Refused:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return Refused(
        f"no SSH agent signs with {key.fingerprint}: {lines[-1] if lines else 'no reason given'}",
        hint="`ssh-add -l` lists what the agent holds, `ssh-add ~/.ssh/id_ed25519` gives it a key",
    )
