"""Execute the cells of a notebook: one private kernel, bounded outputs, bounded time.

The document in memory holds what the kernel said. Nothing of it leaves memory but through `save`,
which the runner gives, and which masks: so a secret printed in seven pieces can still be put together
when it is looked for.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opslib.errors import ParameterError
from opslib.masking import Masker, register, registered
from opslib.runner.imports import lighten, quick
from opslib.runner.kernel import QuickManager
from opslib.runner.limits import Budget, shortened
from opslib.runner.notebooks import under
from opslib.runner.request import Ending
from opslib.show import secrets

with quick():
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient import NotebookClient
    from nbclient.exceptions import (
        CellControlSignal,
        CellExecutionError,
        CellTimeoutError,
        DeadKernelError,
    )

Notebook = Any
Cell = Any
# The kernel's history would keep every cell, secrets included, in a database in the home folder; one in
# memory costs a thread, and is of use to nobody.
_NO_HISTORY = "--HistoryManager.enabled=False"
_NOTHING_LOST = "--IPKernelApp.outstream_class=opslib.kernels.stream.Patient"
_SHOWS = {"stream", "display_data", "execute_result", "error"}
_SOCKET_PATH_MOST = 90
# What a cell has shown may still be on its way when the kernel says that it is done. nbclient waits 4 s,
# and on a busy machine a flood, with the verdict at its end, takes longer.
_LATE_S = 60
_LAST_WORDS = 4000
_LAST_WORDS_SECONDS = 1
_SENTENCE_MOST = 2000


class _NotStarted(Exception):
    """The kernel could not be started."""


class Client(NotebookClient):  # type: ignore[misc]
    """A notebook client that joins streams, caps outputs, and writes papermill's timing metadata.

    Args:
        notebook: executed in place.
        save: called after each cell; writes the notebook masked.
        masker: masks what has to be cut before `save` sees it.
        options: of nbclient: `kernel_name`, `timeout` (seconds a cell may take), `startup_timeout`.
    """

    def __init__(self, notebook: Notebook, save: Callable[[], None], masker: Masker, **options: Any) -> None:
        super().__init__(
            notebook,
            extra_arguments=[_NO_HISTORY, _NOTHING_LOST],
            kernel_manager_class=QuickManager,
            shutdown_kernel="immediate",
            record_timing=False,
            iopub_timeout=_LATE_S,
            on_cell_execute=self._sent,
            **options,
        )
        lighten()
        self._save = save
        self._masker = masker
        self._budget = Budget(masker)
        self._said = b""
        self._whole = True
        self._listener: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        # The manager forgets it when the kernel does not come up.
        self._provisioner: Any = None

    async def perform(
        self,
        *,
        env: Mapping[str, str],
        cwd: Path,
        run_timeout_s: float | None,
        sockets: Path | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> Ending:
        """Run all cells, stop at the first error, and say how it ended; the kernel is gone after.

        Args:
            env: environment of the kernel.
            cwd: its working directory.
            run_timeout_s: the longest that all cells together may take; None for no bound.
            sockets: private folder for the kernel's sockets; a temporary one where its path is too long.
            progress: told a short line at each code cell.
        """
        self.reset_execution_trackers()
        with _private(sockets) as folder:
            try:
                async with asyncio.timeout(run_timeout_s) as bound:
                    await self._start(env, cwd, folder)
                    return await self._cells(progress or _silent)
            except _NotStarted as error:
                return await self._died(f"the kernel did not start: {error}")
            except (TimeoutError, DeadKernelError, asyncio.CancelledError) as error:
                return await self._stopped(error, bound.expired(), run_timeout_s)
            finally:
                await self._stop()

    async def _start(self, env: Mapping[str, str], cwd: Path, sockets: Path) -> None:
        self.km = self.create_kernel_manager()
        self.km.connection_file = str(sockets / "kernel.json")
        if os.name == "posix" and _fits(sockets):
            # Unencrypted TCP on loopback can be read by others on the machine; a private socket not.
            self.km.transport = "ipc"
            self.km.ip = str(sockets / "kernel")
        # The kernel repeats what native code and child processes print on its own stdout and stderr.
        # Inherited, that would reach our terminal or a service's log unmasked; so it ends in memory.
        sink = await self._listen()
        try:
            await self.async_start_new_kernel(
                cwd=str(cwd), env={**env, secrets.WANTED: "1"}, stdout=sink, stderr=sink
            )
            self._provisioner = self.km.provisioner
            os.close(sink)
            sink = -1
            await self.async_start_new_kernel_client()
        except (RuntimeError, OSError, NoSuchKernel) as error:
            raise _NotStarted(str(error)) from error
        finally:
            if sink >= 0:
                os.close(sink)

    async def _listen(self) -> int:
        """Return a descriptor for the kernel to write to; the last of what it says is kept in memory."""
        reading, writing = os.pipe()
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", 0)
        )
        self._listener = asyncio.create_task(self._drain(reader))
        return writing

    async def _drain(self, reader: asyncio.StreamReader) -> None:
        while chunk := await reader.read(65536):
            self._said = (self._said + chunk)[-_LAST_WORDS:]

    async def _cells(self, progress: Callable[[str], None]) -> Ending:
        codes = [cell for cell in self.nb.cells if cell.cell_type == "code"]
        for index, cell in enumerate(self.nb.cells):
            if cell.cell_type != "code":
                continue
            number = codes.index(cell) + 1
            progress(f"cell {number} of {len(codes)}{under(self.nb.cells, index)}")
            ending = await self._cell(cell, index, number)
            if ending.cause:
                return ending
        return Ending()

    async def _cell(self, cell: Cell, index: int, number: int) -> Ending:
        self._budget = Budget(self._masker)
        begun = datetime.now(UTC)
        _mark(cell, start_time=begun.isoformat(), status="running")
        status = "failed"
        try:
            await self.async_execute_cell(cell, index)
            if not self._whole:
                return Ending("timed-out", f"what cell {number} showed did not arrive in {_LATE_S} s", number)
            status = "completed"
        except CellTimeoutError:
            return Ending("timed-out", f"cell {number} took longer than {self.timeout:g} s", number)
        except CellExecutionError as error:
            return _raised(error.ename, self._masker.mask(error.evalue), number)
        finally:
            self._budget.close(cell.outputs)
            ended = datetime.now(UTC)
            seconds = (ended - begun).total_seconds()
            _mark(
                cell,
                end_time=ended.isoformat(),
                duration=seconds,
                status=status,
                exception=status == "failed",
            )
            self._save()
        return Ending()

    def _sent(self, **_: Any) -> None:
        self._whole = False

    def process_message(self, msg: dict[str, Any], cell: Cell, cell_index: int) -> Any:
        """Take one message of the kernel, within the budget of its cell."""
        if msg["msg_type"] == secrets.MESSAGE:
            return self._learn(**msg["content"])
        if msg["msg_type"].startswith("comm_"):
            # The state of widgets is not kept: to follow it could only hide outputs, or break at what is odd.
            return None
        if msg["msg_type"] == "status":
            self._whole = msg["content"]["execution_state"] == "idle"
        if self._clears(msg):
            self._budget = Budget(self._masker)
        outputs, output = cell.outputs, None
        if self._budget.takes(msg, outputs):
            before = len(outputs)
            output = super().process_message(msg, cell, cell_index)
            if len(outputs) > max(before, 1) and _same(outputs[-2], outputs[-1]):
                outputs[-2].text += outputs.pop().text
        self._budget.keep_rest(outputs)
        return output

    def _learn(self, name: str, value: str) -> None:
        """Mask a secret that only the kernel has met, also in what was shown before."""
        if value not in registered().values():
            register(name, value)
            self._masker.add(name, value)

    def _clears(self, msg: dict[str, Any]) -> bool:
        """Say whether a message takes away what the cell has shown so far."""
        if msg["msg_type"] == "clear_output":
            return not msg["content"].get("wait")
        return bool(self.clear_before_next_output) and msg["msg_type"] in _SHOWS

    async def _stopped(self, error: BaseException, expired: bool, seconds: float | None) -> Ending:
        if expired:
            return Ending("timed-out", f"the run took longer than {seconds:g} s")
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) or (task and task.cancelling()):
            return Ending("interrupted", "the run was interrupted")
        return await self._died("the kernel died while a cell was running")

    async def _died(self, what: str) -> Ending:
        """Return how a kernel ended that ended by itself, with the last line that it wrote."""
        if self._listener:
            await asyncio.wait([self._listener], timeout=_LAST_WORDS_SECONDS)
        bereft = bool(getattr(self._provisioner, "orphaned", False))
        what += ", with the process that it was forked from" if bereft else ""
        last = self._said.decode("utf-8", "replace").strip().splitlines()[-1:]
        return Ending("kernel-died", ": ".join([what, *last]), error="DeadKernelError", bereft=bereft)

    async def _async_poll_kernel_alive(self) -> None:
        self._watcher = asyncio.current_task()
        await super()._async_poll_kernel_alive()

    async def _stop(self) -> None:
        # The watcher of a cell that was broken off is left, and would complain when the kernel is gone.
        for task in (self._listener, self._watcher):
            if task:
                task.cancel()
        if self.km is None:
            return
        cleaning = asyncio.ensure_future(self._async_cleanup_kernel())
        while not cleaning.done():
            # Whoever stops us now must wait for the kernel's end; what the run came to stays what it was.
            with suppress(asyncio.CancelledError, CellControlSignal):
                await asyncio.shield(cleaning)


@contextmanager
def _private(sockets: Path | None) -> Iterator[Path]:
    if sockets is not None and _fits(sockets):
        sockets.mkdir(mode=0o700, exist_ok=True)
        yield sockets
        return
    with tempfile.TemporaryDirectory(prefix="opslib-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _raised(name: str, said: str, number: int) -> Ending:
    """Return how a run ended whose cell raised something: a parameter may be what nobody could use."""
    if name == ParameterError.__name__:
        return Ending("parameter-refused", shortened(said, _SENTENCE_MOST), number, name)
    text = shortened(f"{name}: {said}".removesuffix(": "), _SENTENCE_MOST)
    return Ending("procedure-broke", f"cell {number} ended with {text}", number, name)


def _fits(sockets: Path) -> bool:
    return len(str(sockets)) < _SOCKET_PATH_MOST


def _same(one: Any, other: Any) -> bool:
    return bool(one.output_type == other.output_type == "stream" and one.name == other.name)


def _mark(cell: Cell, **values: Any) -> None:
    cell.metadata.setdefault("papermill", {}).update(values)


def _silent(text: str) -> None:
    """Take a line of progress and show it to nobody."""
