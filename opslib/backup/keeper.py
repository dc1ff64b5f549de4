"""Runs a command for as long as whoever started it holds the pipe, and ends all that it has started.

It is started as a file by a bare interpreter, so it may use the standard library only. However its
starter ends (orderly, interrupted, killed), the pipe closes; then the command's whole group is ended.

    python keeper.py SECONDS COMMAND...
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence


def main(patience_s: float, words: Sequence[str]) -> int:
    """Run the command; return how it ended."""
    try:
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        sys.stderr.write(f"{words[0]}: {error.strerror}\n")
        return 127
    for wanted in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # only now: a child would ignore them, too
        signal.signal(wanted, signal.SIG_IGN)
    threading.Thread(target=watch, args=(child, patience_s), daemon=True).start()
    code = child.wait()
    end(child.pid, signal.SIGKILL)  # what it has left behind
    return code


def watch(child: "subprocess.Popen[bytes]", patience_s: float) -> None:
    """Wait until nobody holds the pipe, then end the command."""
    while os.read(0, 1):
        continue
    end(child.pid, signal.SIGTERM)
    try:
        child.wait(patience_s)
    except subprocess.TimeoutExpired:
        end(child.pid, signal.SIGKILL)


def end(group: int, number: int) -> None:
    """Send a signal to all processes of a group."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    code = main(float(sys.argv[1]), sys.argv[2:])
    sys.stderr.flush()
    os._exit(code & 255)  # the thread still waits, and an orderly end would wait for it
