"""A small process that outlives the sandbox by a moment and leaves nothing behind.

It is started as a file by a bare interpreter, so it may use the standard library only. It blocks on
a pipe whose other end the sandbox holds. However the sandbox ends (closed, terminated, killed), the
pipe closes; then every server under the base folder is stopped and the folder is removed.

    python watchdog.py BASE STATE PID
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

PATIENCE_S = 20.0
_PAUSE_S = 0.02
# A server that was just being started writes its pid file a moment after its folder was moved.
_QUIET_ROUNDS = 15


def main(base: Path, state: Path, owner: int) -> None:
    """Wait for the end of the sandbox, then clear away."""
    for wanted in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(wanted, signal.SIG_IGN)
    orderly = bool(sys.stdin.buffer.read())
    clear(base, quiet_rounds=1 if orderly else _QUIET_ROUNDS)
    forget(state, owner)


def clear(base: Path, quiet_rounds: int) -> None:
    """Stop every server below `base` at once and remove the folder.

    Args:
        base: the folder that holds `<system>/data`.
        quiet_rounds: how many times in a row no server may be seen before the folder goes.
    """
    # Moved folders can't be started any more; what had started already keeps its working directory.
    for data in list(base.glob("*/data")):
        data.rename(data.with_name("ended"))
    deadline = time.monotonic() + PATIENCE_S
    quiet = 0
    while quiet < quiet_rounds and time.monotonic() < deadline:
        quiet = 0 if stop_all(base) else quiet + 1
        time.sleep(_PAUSE_S)
    unmount_all(base)
    while base.exists() and time.monotonic() < deadline:
        shutil.rmtree(base, ignore_errors=True)


def unmount_all(base: Path) -> None:
    """Take away the small disks that a rehearsal had put below `base`."""
    mounts = Path("/proc/self/mounts")
    for line in mounts.read_text().splitlines() if mounts.exists() else ():
        if (place := Path(line.split()[1])).is_relative_to(base):
            subprocess.run(["umount", "--lazy", place], stderr=subprocess.DEVNULL, check=False)


def stop_all(base: Path) -> bool:
    """Tell every server to quit without a checkpoint; return whether any was alive."""
    alive = [quit_at_once(pidfile) for pidfile in base.glob("*/ended/postmaster.pid")]
    return any(alive)


def quit_at_once(pidfile: Path) -> bool:
    """Send SIGQUIT, an immediate shutdown, to the server of one pid file."""
    try:
        os.kill(int(pidfile.read_text().split()[0]), signal.SIGQUIT)
    except (OSError, ValueError, IndexError):
        return False
    return True


def forget(state: Path, owner: int) -> None:
    """Remove the state file, unless a newer sandbox has written it."""
    try:
        if json.loads(state.read_text())["pid"] == owner:
            state.unlink()
    except (OSError, ValueError, KeyError):
        return


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
