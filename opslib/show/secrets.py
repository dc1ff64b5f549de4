"""Tell the runner of a secret that only the kernel has met: a value that a vendor gave out, a former one."""

from __future__ import annotations

import os

from opslib import masking

MESSAGE = "opslib_secret"  # type of a message that our runner swallows, and no other client keeps
WANTED = "OPSLIB_CONFIDES"  # set in kernels whose runner understands it


def confide() -> None:
    """Have each value that is registered in this kernel from now on told to its runner, before it is used."""
    if os.environ.get(WANTED):
        masking.listen(_tell)


def _tell(name: str, value: str) -> None:
    from IPython.core.getipython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is not None:
        told = {"name": name, "value": value}
        kernel.session.send(kernel.iopub_socket, MESSAGE, told, parent=kernel.get_parent("shell"))
