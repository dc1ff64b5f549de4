"""Run cells on kernels of either kind, with a zygote that belongs to the test."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from opslib.kernels import client, provisioner, spec
from opslib.masking import Masker
from opslib.runner.client import Client
from opslib.runner.request import Ending

FORKED, PLAIN = "opslib", "python3"
PARENT = "import os\nprint(os.getppid())"


@dataclass(frozen=True)
class Done:
    """What a run came to.

    Args:
        ending: how it ended.
        notebook: with its outputs.
        stderr: what the kernel's process itself wrote.
    """

    ending: Ending
    notebook: Any
    stderr: str

    @property
    def text(self) -> str:
        """All that the cells printed."""
        outputs = [output for cell in self.notebook.cells for output in cell.outputs]
        return "".join(output["text"] for output in outputs if output["output_type"] == "stream")

    @property
    def value(self) -> Any:
        """What the last cell printed as JSON."""
        return json.loads(self.text.strip().splitlines()[-1])

    @property
    def shapes(self) -> list[list[Any]]:
        """The kinds of all outputs, cell by cell."""
        return [
            [sorted(o.get("data", {o["output_type"]: 0})) for o in cell.outputs]
            for cell in self.notebook.cells
        ]


async def running(
    *cells: str,
    kernel: str = FORKED,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 60,
    allow_errors: bool = False,
    on_cell: Callable[[str], None] | None = None,
) -> Done:
    """Run cells on a kernel of their own, which is gone afterwards."""
    from nbformat import v4

    notebook = v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in cells])
    runner = Client(
        notebook, lambda: None, Masker({}), timeout=timeout, kernel_name=kernel, allow_errors=allow_errors
    )
    ending = await runner.perform(
        env=env or os.environ, cwd=cwd or Path.cwd(), run_timeout_s=120, progress=on_cell
    )
    return Done(ending, notebook, runner._said.decode("utf-8", "replace"))


def run(*cells: str, **options: Any) -> Done:
    """Run cells, see `running`; they must all go through."""
    done = asyncio.run(running(*cells, **options))
    assert not done.ending.cause, done.ending
    return done


def side_by_side(*runs: Any) -> list[Done]:
    """Run several at the same time."""

    async def all_of_them() -> list[Done]:
        return list(await asyncio.gather(*runs))

    return asyncio.run(all_of_them())


def within(seconds: float, true: Callable[[], bool]) -> bool:
    """Say whether something becomes true within so many seconds."""
    until = time.monotonic() + seconds
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def gone(pid: int, seconds: float = 10) -> bool:
    """Say whether a process ends within so many seconds; one that nobody has reaped counts as ended."""
    return within(seconds, lambda: state(pid) in ("", "Z"))


def state(pid: int) -> str:
    """Return the letter of a process's state; "" when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def descriptors(pid: int | str = "self") -> dict[str, str]:
    """Return the open descriptors of a process and what they are."""
    found = {}
    for path in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[path.name] = str(path.readlink())
        except OSError:
            continue
    return found


def prepare(patch: pytest.MonkeyPatch) -> Path:
    """Have a home of its own with a short path, and the kernelspec; nothing is distrusted yet."""
    home = Path(tempfile.mkdtemp(prefix="warm-"))
    patch.setenv("OPSLIB_HOME", str(home))
    patch.delenv("OPSLIB_KERNELS_HOME", raising=False)
    patch.setenv("JUPYTER_PATH", str(home / "share" / "jupyter"))
    patch.setenv("OPSLIB_KERNELS_IDLE_S", "120")
    patch.delenv("OPSLIB_KERNELS", raising=False)
    patch.setattr(client, "_distrusted", {})
    patch.setattr(provisioner, "_said", set())
    spec.install(str(home))
    return home


def end(home: Path) -> None:
    """End the zygote of this home, and wait until it is gone."""
    found = client.stop(now=True)
    if found["running"]:
        assert gone(found["pid"])
    client._started[:] = [child for child in client._started if child.poll() is None]
