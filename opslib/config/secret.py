"""References to secrets. A file names where a value lies; the value is read only when it is needed.

    env:NAME                      a variable of the process
    file:/path                    the content of a file (a mounted secret), without its last newline
    doppler:PROJECT/CONFIG/NAME   asked of the `doppler` command line
    keyring:SERVICE/USER          the desktop's key store, where the `keyring` package is installed

A revealed value is registered for masking before anybody gets it.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from opslib.errors import SecretError

FORMS = {
    "env": re.compile(r"[A-Za-z_][A-Za-z0-9_]*"),
    "file": re.compile(r"(?:/|~/).+"),
    "doppler": re.compile(r"[\w.-]+/[\w.-]+/[A-Za-z_][A-Za-z0-9_]*"),
    "keyring": re.compile(r"[^/]+/.+"),
}
EXAMPLES = "env:NAME, file:/path, doppler:PROJECT/CONFIG/NAME or keyring:SERVICE/USER"
_DOPPLER_SECONDS = 20
_CONNINFO_PASSWORD = re.compile(r"\bpassword\s*=\s*('(?:[^'\\]|\\.)*'|\S+)")


@dataclass(frozen=True, repr=False)
class Secret:
    """Where a secret lies, never what it is.

    Args:
        reference: `env:NAME`, `file:/path`, `doppler:PROJECT/CONFIG/NAME` or `keyring:SERVICE/USER`.
        name: what stands in its place when text is masked.
    """

    reference: str
    name: str
    _value: str | None = field(default=None, compare=False)

    @classmethod
    def parse(cls, reference: str, name: str = "") -> Secret:
        """Return the secret that a reference names.

        Args:
            reference: one of the four forms.
            name: label for masking; default the last part of the reference.

        Raises:
            SecretError: it is no reference; the text is not repeated, as it may be the value itself.
        """
        if not is_reference(reference):
            raise SecretError("a plain value stands where a reference is needed", hint=f"write {EXAMPLES}")
        return cls(reference, name or re.split(r"[:/]", reference)[-1])

    @classmethod
    def literal(cls, name: str, value: str) -> Secret:
        """Return a secret whose value is at hand: the sandbox makes its own, for this machine only."""
        return cls(f"literal:{name}", name, value)

    def __repr__(self) -> str:
        return f"Secret({self.reference!r})"

    def reveal(self) -> str:
        """Return the value, after it was registered for masking.

        Raises:
            SecretError: it is not there, empty, or cannot be read; the message names the reference.
        """
        value = self._value if self._value is not None else self._read()
        # Imported here: describing a system must not need the masker.
        from opslib import masking

        masking.register(self.name, value)
        for password in passwords(value):
            masking.register(f"{self.name} password", password)
        return value

    def available(self) -> bool:
        """Tell whether the value can be had now."""
        try:
            return bool(self._value if self._value is not None else self._read())
        except SecretError:
            return False

    def _read(self) -> str:
        scheme, _, rest = self.reference.partition(":")
        value = _READERS[scheme](rest)
        if not value:
            raise SecretError(f"{self.reference} is empty", hint="give it a value")
        return value


def is_reference(text: str) -> bool:
    """Tell whether a text has the form of a reference."""
    scheme, _, rest = text.partition(":")
    return scheme in FORMS and FORMS[scheme].fullmatch(rest) is not None


def passwords(value: str) -> tuple[str, ...]:
    """Return the password inside a database address (URI or conninfo), as written and decoded."""
    if re.match(r"[a-z][a-z0-9+.-]*://", value):
        found = _uri_passwords(value)
    else:
        found = [match.strip("'").replace("\\'", "'") for match in _CONNINFO_PASSWORD.findall(value)]
    return tuple(dict.fromkeys(text for password in found for text in (password, unquote(password)) if text))


def _uri_passwords(value: str) -> list[str]:
    try:
        parts = urlsplit(value)
    except ValueError:
        return []
    # rpartition, not `.password`: an unescaped @ or / in a password must be masked too.
    user_info = parts.netloc.rpartition("@")[0]
    return [user_info.partition(":")[2], *parse_qs(parts.query).get("password", [])]


def _from_env(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise SecretError(
            f"the environment variable {name} is not set", hint=f"export {name}=…, then try again"
        )
    return value


def _from_file(name: str) -> str:
    path = Path(name).expanduser()
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise SecretError(f"the secret file {path} cannot be read: {reason}") from None
    except UnicodeDecodeError:
        raise SecretError(f"the secret file {path} is not UTF-8 text") from None


def _from_doppler(rest: str) -> str:
    project, config, name = rest.split("/")
    command = ["doppler", "secrets", "get", name, "--plain", "--project", project, "--config", config]
    try:
        # No shell, and its messages are not passed on: they may quote what they were given.
        done = subprocess.run(command, capture_output=True, text=True, timeout=_DOPPLER_SECONDS, check=False)
    except FileNotFoundError:
        raise SecretError(
            f"doppler:{rest} needs the `doppler` command, which is not installed",
            hint="install the Doppler CLI, or refer to the value as env:NAME",
        ) from None
    except (OSError, subprocess.TimeoutExpired):
        raise SecretError(f"doppler:{rest}: `doppler` did not answer within {_DOPPLER_SECONDS} s") from None
    if done.returncode:
        raise SecretError(
            f"doppler:{rest} was not given out (doppler ended with {done.returncode})",
            hint=f"run `doppler login`; `doppler secrets --only-names -p {project} -c {config}` lists names",
        )
    return done.stdout.rstrip("\r\n")


def _from_keyring(rest: str) -> str:
    if find_spec("keyring") is None:
        raise SecretError(f"keyring:{rest} needs the Python package keyring", hint="pip install keyring")
    service, user = rest.split("/", 1)
    keyring = import_module("keyring")
    try:
        value = keyring.get_password(service, user)
    except import_module("keyring.errors").KeyringError:
        raise SecretError(f"keyring:{rest}: the key store cannot be read", hint="unlock it") from None
    if value is None:
        raise SecretError(f"keyring:{rest}: there is no such entry", hint=f"keyring set {service} {user}")
    return str(value)


_READERS: Mapping[str, Callable[[str], str]] = {
    "env": _from_env,
    "file": _from_file,
    "doppler": _from_doppler,
    "keyring": _from_keyring,
}
