"""What kernels themselves take: memory, forked and plain; processor time of a notebook's own work."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psutil

from bench import ways
from bench.process import ROOT, cpu_of
from bench.suite import Entry
from opslib.kernels import spec
from opslib.runner import notebooks
from opslib.runner.imports import quick
from opslib.runner.kernel import QuickManager

FORKED, PLAIN = spec.NAME, "python3"
_NO_HISTORY = "--HistoryManager.hist_file=:memory:"


@dataclass(frozen=True)
class Memory:
    """The memory of some kernels that have each run a notebook and still live, in bytes.

    Args:
        kernels: how many.
        share: proportional size of each on average: pages that several use count in parts.
        private: what each has alone, on average.
        zygote: proportional size of the process they were forked from; 0 for plain ones.
    """

    kernels: int
    share: float
    private: float
    zygote: float

    @property
    def total(self) -> float:
        """What all of it takes together."""
        return self.kernels * self.share + self.zygote


def memory(entry: Entry, count: int, *, forked: bool) -> Memory:
    """Return the memory of so many kernels, each of which has run an entry."""
    return asyncio.run(_memory(entry, count, forked))


def own_work(entries: Sequence[Entry], *, forked: bool) -> float:
    """Return the processor seconds of a notebook's own work, on average.

    It is what its cells take when they are run a second time in the same kernel: everything is imported
    then, and the first connection is made.
    """
    return asyncio.run(_own_work(entries, FORKED if forked else PLAIN)) / len(entries)


async def _memory(entry: Entry, count: int, forked: bool) -> Memory:
    async with AsyncExitStack() as held:
        kernels = [
            await held.enter_async_context(_kernel(entry, FORKED if forked else PLAIN)) for _ in range(count)
        ]
        for kernel in kernels:
            await _cells(kernel)
        sizes = [_sizes(kernel.km.provisioner.pid) for kernel in kernels]
        zygote = _sizes(ways.zygote()[0]).pss if forked else 0
    share, private = (sum(size) / count for size in ((s.pss for s in sizes), (s.uss for s in sizes)))
    return Memory(count, share, private, zygote)


async def _own_work(entries: Sequence[Entry], name: str) -> float:
    total = 0.0
    for entry in entries:
        async with _kernel(entry, name) as kernel:
            await _cells(kernel)
            before = cpu_of([kernel.km.provisioner.pid])
            await _cells(kernel)
            total += cpu_of([kernel.km.provisioner.pid]) - before
    return total


@asynccontextmanager
async def _kernel(entry: Entry, name: str) -> AsyncIterator[Any]:
    """Yield a client of nbclient whose kernel lives as long as the block."""
    with quick():
        from nbclient import NotebookClient
    client = NotebookClient(
        notebooks.prepared(entry.notebook, entry.given),
        kernel_name=name,
        kernel_manager_class=QuickManager,
        extra_arguments=[_NO_HISTORY],
        shutdown_kernel="immediate",
    )
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    async with client.async_setup_kernel(cwd=str(ROOT), env=dict(os.environ), **silent):
        yield client


async def _cells(client: Any) -> None:
    for index, cell in enumerate(client.nb.cells):
        await client.async_execute_cell(cell, index)


def _sizes(pid: int) -> Any:
    return psutil.Process(pid).memory_full_info()
