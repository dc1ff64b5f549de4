"""The command's outermost shell: every way to end becomes one clear message and an exit code."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from opslib.errors import EXIT_INTERRUPTED, EXIT_UNKNOWN, EXIT_USAGE, DiskFull, OpsError

if TYPE_CHECKING:
    import click

EXIT_BROKEN_PIPE = 141
_FULL = {errno.ENOSPC, errno.EDQUOT}
# A place that was named and cannot be used; any other error of the system is our own fault.
_UNUSABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ELOOP}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command line (default: that of the process) and exit with its code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        elsewhere = _elsewhere(words) if arguments is None else None
        code = _guarded(words) if elsewhere is None else elsewhere
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = _tell(words, "Interrupted", "interrupted", "", EXIT_INTERRUPTED)
    except BrokenPipeError:
        code = _quiet()
    sys.exit(code)


def _elsewhere(words: list[str]) -> int | None:
    """Have a run done by a process that has imported what it needs; None where there is none."""
    if words[:1] != ["run"]:
        return None
    from opslib.kernels import errand

    return errand.done(words)


def _guarded(words: list[str]) -> int:
    import click

    from opslib.cli.app import cli

    try:
        result = cli.main(words, prog_name="opslib", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except OpsError as error:
        return _tell(words, type(error).__name__, error.message, error.hint, error.exit_code)
    except click.ClickException as error:
        hint = _hint(error)
        return _tell(words, "UsageError", error.format_message(), hint, EXIT_USAGE)
    except (KeyboardInterrupt, click.Abort):
        _deaf()
        return _tell(words, "Interrupted", "interrupted", "", EXIT_INTERRUPTED)
    except BrokenPipeError:
        return _quiet()
    except OSError as error:
        return _system_error(words, error)
    except Exception as error:  # noqa: BLE001 - the last resort; it is written down and told
        return _crashed(words, error)
    except SystemExit:
        # Only click raises it here, with 1, for a reader that has left; 1 is the verdict "warning".
        return _quiet()
    except BaseException as error:
        if _cancelled(error):
            _deaf()
            return _tell(words, "Interrupted", "stopped from outside", "", EXIT_INTERRUPTED)
        raise


def _deaf() -> None:
    """We are about to end: who presses Ctrl-C again must not get a traceback, or another exit code."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def _cancelled(error: BaseException) -> bool:
    """Whether a run was stopped by SIGTERM. Who never loaded asyncio cannot have met its exception."""
    loops = sys.modules.get("asyncio")
    return loops is not None and isinstance(error, loops.CancelledError)


def _hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"see `{context.command_path} --help`" if context else "see `opslib --help`"


def _tell(words: Sequence[str], kind: str, message: str, hint: str, code: int) -> int:
    """Say what went wrong, to people on stderr and, where JSON was asked for, to programs on stdout."""
    from opslib import masking
    from opslib.show import plainly

    masker = masking.Masker(masking.registered())
    message, hint = plainly.lines(masker.mask(message)), plainly.lines(masker.mask(hint))
    if "--json" in words:
        error = {"type": kind, "message": message, "hint": hint, "exit_code": code}
        print(json.dumps({"error": error}, ensure_ascii=False))
    fresh = "\r\x1b[2K" if sys.stderr.isatty() else ""  # over a progress line that was cut short
    try:
        print(f"{fresh}opslib: {message}" + (f"\n  → {hint}" if hint else ""), file=sys.stderr)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        _quiet()  # the terminal is gone; the exit code still says what happened
    return code


def _quiet() -> int:
    """Whoever read our output has left; nothing more can be said to them."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    return EXIT_BROKEN_PIPE


def _system_error(words: Sequence[str], error: OSError) -> int:
    name = f"{error.filename}: " if error.filename else ""
    if error.errno in _FULL:
        return _tell(words, "DiskFull", f"{name}no space left on the disk", DiskFull.hint, EXIT_UNKNOWN)
    if error.filename and error.errno in _UNUSABLE:
        why = (error.strerror or "cannot be used").lower()
        hint = "check --archive, OPSLIB_ARCHIVE and OPSLIB_HOME"
        return _tell(words, "Unusable", f"{name}{why}", hint, EXIT_USAGE)
    return _crashed(words, error)


def _crashed(words: Sequence[str], error: BaseException) -> int:
    """Keep the traceback where its owner can read it, and name the file in one line."""
    from opslib.runner import crash

    return _tell(words, "Crash", *crash.told(error), EXIT_UNKNOWN)


if __name__ == "__main__":
    main()
