"""Git, run without anybody's settings, and with nobody to be asked."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from opslib.errors import SourceError, Unreachable
from opslib.evidence.plain import readable

SECONDS = 20  # for each call
_WHO = "opslib"
_QUIET = {
    "GIT_TERMINAL_PROMPT": "0",  # nobody is there to be asked
    "GIT_ASKPASS": "true",
    "SSH_ASKPASS": "true",
    "GCM_INTERACTIVE": "never",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",  # `ext::` would run any command
    "LC_ALL": "C",
    **{f"GIT_{whose}_{what}": value for whose in ("AUTHOR", "COMMITTER")
       for what, value in (("NAME", _WHO), ("EMAIL", "opslib@localhost"))},
}  # fmt: skip
_INHERITED = re.compile(r"GIT_(?!SSH|SSL|HTTP|PROXY|CONFIG_GLOBAL)")


def git(
    folder: Path, words: tuple[str, ...], text: bytes = b"", more: Mapping[str, str] | None = None
) -> bytes:
    """Run git and return what it said.

    Args:
        folder: where, and its repository if there is one.
        words: the command.
        text: on its standard input.
        more: variables.

    Raises:
        Unreachable: it is not there, or took too long.
        SourceError: it failed; its last words are in the message.
    """
    inherited = {name: value for name, value in os.environ.items() if not _INHERITED.match(name)}
    ssh = inherited.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=10")
    own = {**inherited, **_QUIET, "GIT_SSH_COMMAND": ssh, "GIT_DIR": str(folder), **(more or {})}
    plain = ("-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "commit.gpgSign=false")
    pipe = subprocess.PIPE
    try:
        # A session of its own: what git has started must end with it.
        running = subprocess.Popen(
            ["git", *plain, *words],
            cwd=folder,
            env=own,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise SourceError("git is not installed on this machine") from None
    with running:
        try:
            told, complained = running.communicate(text, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            raise Unreachable(f"git {words[0]} had no answer within {SECONDS} s", kind="timeout") from None
    if running.returncode:
        raise SourceError(f"git {words[0]}: {_said(complained, told)}")
    return told


def _said(*outputs: bytes) -> str:
    """Return the line of git that says most, without what may be a password in an address."""
    lines = [
        line.strip() for output in outputs for line in output[-4000:].decode("utf-8", "replace").splitlines()
    ]
    telling = [line for line in lines if re.match(r"fatal:|error:|remote: (?:error|fatal)|!", line)]
    text = "; ".join(telling[:2]) or next((line for line in lines if line), "it failed without a word")
    return re.sub(r"//[^/@\s]+@", "//", readable(text))[:300]
