"""Every error a person can meet, as one tree.

    OpsError                      64   anything wrong that has a next step
    ├── UsageError                64   the command's words are off
    │   ├── UnknownName           64   a procedure, system, environment, parameter that does not exist
    │   └── ParameterError        64   a parameter has the wrong type or is out of bounds
    ├── ConfigError               64   a file under parameters/ is wrong (names file and line)
    │   └── SecretError           64   a secret reference cannot be resolved
    ├── ArchiveError              64   the archive cannot be read or written
    │   └── DiskFull               3   no room left while a record was being kept
    ├── Refused                   64   a change that the rules do not allow; nothing was changed
    ├── SandboxError               3   the rehearsal environment did not start or stop as asked
    ├── SourceError                3   something that a check must look at could not be looked at
    │   ├── Unreachable            3   no answer: refused, timed out, name not found
    │   ├── Forbidden              3   answered, but not for these credentials
    │   ├── Malformed              3   answered with something else than promised
    │   ├── RateLimited            3   asked to come back later
    │   └── NotNamed               3   the system's file names no such source
    └── ProcedureError             3   the procedure itself broke

A class's docstring is its default sentence. An error never carries local variables or secrets.
"""

from __future__ import annotations

import html
from typing import ClassVar

EXIT_USAGE = 64
EXIT_UNKNOWN = 3
EXIT_INTERRUPTED = 130


class OpsError(Exception):
    """Something is wrong."""

    exit_code: ClassVar[int] = EXIT_USAGE
    hint: str = ""

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").split("\n")[0])
        if hint:
            self.hint = hint

    @property
    def message(self) -> str:
        """The sentence that says what is wrong."""
        return str(self.args[0])

    def text(self) -> str:
        """Message and next step, ready for a terminal."""
        return f"{self.message}\n  → {self.hint}" if self.hint else self.message

    def _repr_html_(self) -> str:
        hint = f"<br>→ {html.escape(self.hint)}" if self.hint else ""
        return f"<p><b>{html.escape(type(self).__name__)}</b>: {html.escape(self.message)}{hint}</p>"

    def _render_traceback_(self) -> list[str]:
        """What IPython shows instead of a stack: frames could hold secrets and help nobody at night."""
        return [f"{type(self).__name__}: {self.text()}"]


class UsageError(OpsError):
    """The command cannot be understood."""

    hint = "see `opslib --help`"


class UnknownName(UsageError):
    """There is no such name."""


class ParameterError(UsageError):
    """A parameter has a wrong value."""


class ConfigError(OpsError):
    """A file under parameters/ is wrong."""

    hint = "mend the file, then run `opslib doctor`"


class SecretError(ConfigError):
    """A secret reference cannot be resolved."""


class ArchiveError(OpsError):
    """The archive cannot be read or written."""

    hint = "check the folder given by --archive or OPSLIB_ARCHIVE"


class DiskFull(ArchiveError):
    """No room is left on the disk."""

    exit_code = EXIT_UNKNOWN
    hint = "free some space; what the run had written so far is kept and published by the next opslib call"


class Refused(OpsError):
    """The change is not allowed."""

    hint = "see `opslib plans`"


class SandboxError(OpsError):
    """The sandbox did not do what was asked."""

    exit_code = EXIT_UNKNOWN
    hint = "try `opslib sandbox down`, then `opslib sandbox up --foreground` to see its log"


class SourceError(OpsError):
    """A source could not be looked at."""

    exit_code = EXIT_UNKNOWN
    hint = "run `opslib doctor` to see which sources answer"
    kind: str = "unavailable"

    def __init__(self, message: str = "", *, kind: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        if kind:
            self.kind = kind


class Unreachable(SourceError):
    """No answer came."""

    kind = "unreachable"


class Forbidden(SourceError):
    """The credentials were refused."""

    kind = "forbidden"


class Malformed(SourceError):
    """The answer is not what was promised."""

    kind = "malformed"


class RateLimited(SourceError):
    """The source asks to come back later."""

    kind = "rate-limited"


class NotNamed(SourceError):
    """The system's file names no such source."""

    kind = "absent"
    hint = "name it in parameters/systems, if the system has one"


class ProcedureError(OpsError):
    """The procedure broke before it reached a verdict."""

    exit_code = EXIT_UNKNOWN
    hint = "open the record: the cell that broke is marked"
