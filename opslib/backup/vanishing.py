"""A folder for what must not stay: it goes with whoever made it, however that ends.

The file is also started by a bare interpreter, which removes the folder when nobody holds its pipe any
more; so it may use the standard library only.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def folder(prefix: str) -> Iterator[Path]:
    """Make a private folder, and remove it with all in it, also when this process is killed.

    Args:
        prefix: how its name begins.

    Raises:
        OSError: it cannot be made, or nobody can be made to watch over it.
    """
    place = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        remover = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(place)], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd="/",
        )  # fmt: skip
    except OSError:
        place.rmdir()
        raise
    try:
        yield place
    finally:
        remover.communicate()


def main(place: str) -> None:
    """Wait until nobody holds the pipe, then remove the folder."""
    for wanted in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(wanted, signal.SIG_IGN)
    while os.read(0, 1):
        continue
    shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
