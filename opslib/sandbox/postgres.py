"""The life of real PostgreSQL clusters on a private unix socket.

A `Ground` is one short, private folder with a watchdog; `Cluster`s live on it. When the process that
opened the ground goes, however it goes, its servers stop and its folder is removed.

PostgreSQL refuses to run as root, so as root everything under the ground belongs to the account
65534 (nobody): no account is made and no foreign folder changes its permissions.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from opslib.errors import SandboxError
from opslib.sandbox import binaries, watchdog
from opslib.sandbox.account import Account
from opslib.sandbox.binaries import Binaries

# The shortest limit of the supported platforms (macOS) for a socket's path, in bytes.
SOCKET_PATH_LIMIT = 103
FIRST_PORT = 5432
_START_S = 60
_STOP_S = 30
_PAUSE_S = 0.01
# Counted from 0: where the server writes "ready" into its pid file.
_STATUS_LINE = 7
_LOG_TAIL = 1500

# Nothing here outlives the sandbox, so nothing is synced; everything else is as a server in use has it.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "max_connections": "200",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "on",
    # The least that is allowed: a scenario can outgrow it within a second.
    "autovacuum_freeze_max_age": "100000",
    "track_io_timing": "on",
    "wal_level": "logical",
    "max_wal_size": "256MB",
    "checkpoint_timeout": "30min",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "log_min_messages": "warning",
}


class Ground:
    """A private folder for clusters, with a watchdog.

    Args:
        password: of the first superuser in every cluster made here.
        state: a state file that the watchdog removes too, if it names this process.
        superuser: what that one is called.
        major: version of the server programs, where this machine has it; else the first that it has.

    Raises:
        SandboxError: no server programs, or no place for a socket.
    """

    def __init__(
        self,
        password: str,
        state: Path | None = None,
        *,
        superuser: str = "postgres",
        major: int | None = None,
    ) -> None:
        self.account = Account.for_servers()
        self.base = _short_folder(self.account)
        self._password, self.superuser = password, superuser
        self._watchdog = _watch(self.base, state or self.base / "none")
        try:
            self.account.own(self.base)
            self.programs = self._programs(major)
        except BaseException:
            self.close()
            raise

    def run(self, program: str, *words: str | Path) -> None:
        """Run one of PostgreSQL's programs as the servers' account.

        Raises:
            SandboxError: it failed; the message carries what it said.
        """
        with tempfile.TemporaryFile() as said:
            try:
                done = subprocess.run(
                    [self.programs.directory / program, *words],
                    stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                    cwd=self.base, env=self._environment, check=False, **self.account.switch,
                )  # fmt: skip
            except (OSError, subprocess.SubprocessError) as error:
                raise SandboxError(f"{program} could not be started: {error}") from error
            if done.returncode:
                said.seek(0)
                raise SandboxError(
                    f"{program} failed: {said.read().decode(errors='replace').strip()[-_LOG_TAIL:]}"
                )

    def spawn(self, program: str, log: Path, *words: str | Path) -> subprocess.Popen[bytes]:
        """Start one of PostgreSQL's programs as the servers' account and return its process."""
        with log.open("ab") as said:
            return subprocess.Popen(
                [self.programs.directory / program, *words],
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
                cwd=self.base, env=self._environment, **self.account.switch,
            )  # fmt: skip

    def template(self) -> Path:
        """Make the empty cluster that all others are copied from, and return its folder."""
        data = self.base / "template" / "data"
        if data.exists():
            return data
        self.folder("template")
        secret = self.base / "template" / "password"
        secret.touch(mode=0o600)
        secret.write_text(self._password)
        self.account.own(secret)
        self.run(
            "initdb", "-D", data, "-U", self.superuser, "-A", "scram-sha-256", f"--pwfile={secret}",
            "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions",
        )  # fmt: skip
        secret.unlink()
        return data

    def folder(self, name: str) -> Path:
        """Make a folder below the ground that belongs to the servers' account."""
        path = self.base / name
        path.mkdir(mode=0o700)
        self.account.own(path)
        return path

    def close(self) -> None:
        """Stop every server and remove the folder; returns when it is gone."""
        pipe = self._watchdog.stdin
        if pipe is not None and not pipe.closed:
            with ExitStack() as closing:
                closing.callback(pipe.close)
                pipe.write(b"orderly")
        self._watchdog.wait(watchdog.PATIENCE_S + _STOP_S)

    @property
    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "HOME": str(self.base)}

    def _programs(self, major: int | None) -> Binaries:
        found = binaries.find(major)
        if self.account.uid is None:
            return found
        room = self.base / "programs"
        room.mkdir(mode=0o755)
        return binaries.reachable(found, room)


class Cluster:
    """One PostgreSQL server with its own data folder.

    Args:
        ground: where it lives.
        name: its folder's name.
        number: distinguishes the clusters of one ground; the port follows from it.
        settings: configuration beside `SETTINGS`.
    """

    def __init__(
        self, ground: Ground, name: str, number: int, settings: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.port = FIRST_PORT + number
        self.log = ground.base / name / "server.log"
        self._ground = ground
        self._data = ground.base / name / "data"
        self._settings = {**SETTINGS, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket_directory(self) -> Path:
        """The folder of the server's socket: `host` of a connection string."""
        return self._ground.base

    @property
    def major(self) -> int:
        """Major version of the server."""
        return self._ground.programs.major

    def create(self, template: Path, *, last: bool = False) -> None:
        """Copy the template and write the configuration.

        Args:
            template: of the ground.
            last: no other cluster is copied from it, so that this one may take it itself.
        """
        self._ground.folder(self.name)
        if last:
            template.rename(self._data)
        else:
            subprocess.run(["cp", "-Rp", str(template), str(self._data)], check=True)
        settings = {
            **self._settings,
            "port": str(self.port),
            "unix_socket_directories": str(self.socket_directory),
        }
        lines = [f"{key} = '{value}'\n" for key, value in settings.items()]
        with (self._data / "postgresql.conf").open("a") as conf:
            conf.writelines(lines)

    def start(self) -> None:
        """Start the server and wait until it takes connections; nothing happens if it runs.

        Raises:
            SandboxError: it did not start; the message ends with its log.
        """
        if self.running:
            return
        self._process = self._ground.spawn("postgres", self.log, "-D", self._data)
        deadline = time.monotonic() + _START_S
        while not self._ready():
            if not self.running or time.monotonic() > deadline:
                self.stop()
                raise SandboxError(f"PostgreSQL for {self.name} did not start:\n{self.log_tail()}")
            time.sleep(_PAUSE_S)

    def shut_down(self) -> None:
        """Stop the server in order ("fast" to PostgreSQL) and wait; a crash would lose its counters."""
        if self._process is not None:
            if self.running:
                self._process.send_signal(signal.SIGINT)
            self._process.wait(_STOP_S)

    def stop(self) -> None:
        """Stop the server at once, as a crash would, and wait; nothing happens if it is down."""
        if self._process is not None:
            if self.running:
                self._process.send_signal(signal.SIGQUIT)
            self._process.wait(_STOP_S)

    @property
    def running(self) -> bool:
        """Whether the server's process is there."""
        return self._process is not None and self._process.poll() is None

    def _ready(self) -> bool:
        """Whether the server says in its pid file that it takes connections."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        mine = self._process is not None and lines[:1] == [str(self._process.pid)]
        return mine and len(lines) > _STATUS_LINE and lines[_STATUS_LINE].strip() == "ready"

    def log_tail(self) -> str:
        """The last lines of the server's log."""
        return self.log.read_text(errors="replace")[-_LOG_TAIL:].strip() if self.log.exists() else ""


def _short_folder(account: Account) -> Path:
    """Make a new private folder whose sockets have a path short enough for every platform."""
    longest_socket = len("/opslib-12345678/.s.PGSQL.54321.lock")
    for parent in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")):
        place = Path(parent).resolve()
        fits = len(os.fsencode(place)) + longest_socket <= SOCKET_PATH_LIMIT
        if place.is_dir() and fits and (account.uid is None or binaries.open_to_all(place)):
            return Path(tempfile.mkdtemp(prefix="opslib-", dir=place))
    raise SandboxError(
        "No folder for PostgreSQL's sockets: every temporary folder has a path that is too long or private",
        hint="set TMPDIR to a short path that every account can pass through",
    )


def _watch(base: Path, state: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-I", "-S", watchdog.__file__, str(base), str(state), str(os.getpid())]
    try:
        return subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            cwd="/", start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        shutil.rmtree(base, ignore_errors=True)
        raise SandboxError(f"The sandbox's watchdog could not be started: {error}") from error
