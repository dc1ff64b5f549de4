"""The kernelspec `opslib`: python3's own, with the provisioner that forks."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

NAME = "opslib"
PROVISIONER = "opslib-fork"
_SHOWN = "Python 3 (opslib, warm)"


def document() -> dict[str, Any]:
    """Return the content of `kernel.json`; without the provisioner it starts an ordinary ipykernel."""
    from ipykernel.kernelspec import get_kernel_dict

    plain: dict[str, Any] = get_kernel_dict()
    forked = {"kernel_provisioner": {"provisioner_name": PROVISIONER, "config": {}}}
    return {**plain, "display_name": _SHOWN, "metadata": {**plain.get("metadata", {}), **forked}}


def installed() -> bool:
    """Say whether the kernelspec is there for this interpreter."""
    return _place(Path(sys.prefix)).is_file()


def install(prefix: str | None = None, *, user: bool = False) -> Path:
    """Install the kernelspec and return its folder.

    Args:
        prefix: below it, in `share/jupyter/kernels`; this interpreter's own when None.
        user: for this user instead, whichever Jupyter finds it there.

    Raises:
        OSError: it cannot be written.
    """
    from ipykernel.kernelspec import RESOURCES
    from jupyter_client.kernelspec import KernelSpecManager

    with tempfile.TemporaryDirectory() as made:
        source = Path(made) / NAME
        shutil.copytree(RESOURCES, source)
        (source / "kernel.json").write_text(json.dumps(document(), indent=1), encoding="utf-8")
        where: dict[str, Any] = {"user": True} if user else {"prefix": prefix or sys.prefix}
        return Path(KernelSpecManager().install_kernel_spec(str(source), NAME, **where))


def _place(prefix: Path) -> Path:
    return prefix / "share" / "jupyter" / "kernels" / NAME / "kernel.json"
