"""Many runs in one event loop: so many at a time, each for itself, and all of them stopped as one."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from opslib.runner.request import Outcome, Request

# A run has one connection to its database, and `doctor --sql` gives our role three: the third is for a
# person, or for the connection that the server has not seen end yet.
DATABASE_RUNS = 2
# What a run has open here: sockets to its kernel, its output, its lock; and what this process has besides.
_FILES, _OTHER_FILES = 20, 64
# Each run waits now and then, for its kernel and for its sources. Of 20 on two cores, two at a time took
# 6.5 s, three 4.4 s, four 4.0 s, and more no less.
_WAITING = 2
_DATABASE = b"ops.pg."
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")

Run = Callable[[Request], Awaitable[Outcome]]
Told = Callable[[Request, Outcome | BaseException], None]


def usual() -> int:
    """Return how many runs go at the same time when nobody says: two more than there are cores for us."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) + _WAITING
    return (os.cpu_count() or 2) + _WAITING


def bounded(jobs: int) -> int:
    """Return how many of that many runs can have their files open at the same time; at least one."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return jobs
    return max(1, min(jobs, (most - _OTHER_FILES) // _FILES))


class Together:
    """Runs that go side by side.

    A run is begun only when there is room for it, so that the cost of many is that of a few at a time.
    What one raises is told as its result, and the others go on.

    Args:
        requests: what to run; begun in this order, save that a run waits while its database has enough.
        run: performs one; when cancelled, it keeps its record and ends.
        jobs: the most at the same time.
        told: gets each result as it comes; what it raises is raised when all runs have ended.
    """

    def __init__(self, requests: Sequence[Request], run: Run, jobs: int, told: Told) -> None:
        self._waiting = list(requests)
        self._running: dict[asyncio.Future[Outcome], Request] = {}
        self._run = run
        self._jobs = jobs
        self._told = told
        self._databases = _databases(requests)
        self._fault: BaseException | None = None
        self._stopped: BaseException | None = None

    async def all(self) -> BaseException | None:
        """Run them all.

        Returns:
            What stopped them before their end, once the kernels are gone and the records are kept; None
            when all came to their end. It is for the caller to raise, outside of the loop.
        """
        while self._waiting or self._running:
            self._begin()
            try:
                await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError as error:
                self._stop(error)
            self._collect()
        return self._stopped or self._fault

    @contextmanager
    def signals(self) -> Iterator[None]:
        """While the block lasts, Ctrl-C, SIGTERM and a lost terminal stop the runs, and break nothing off."""
        loop = asyncio.get_running_loop()
        held: list[signal.Signals] = []
        for name in _SIGNALS:
            number = getattr(signal, name, None)
            # `nohup` asks for a lost terminal to be ignored, and so it is.
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                with suppress(NotImplementedError, RuntimeError, ValueError):
                    loop.add_signal_handler(number, self._stop, _meaning(number))
                    held.append(number)
        try:
            yield
        finally:
            for number in held:
                loop.remove_signal_handler(number)

    def _begin(self) -> None:
        """Start what there is room for."""
        for request in list(self._waiting):
            if len(self._running) >= self._jobs:
                return
            if not self._crowded(request):
                self._waiting.remove(request)
                self._running[asyncio.ensure_future(self._run(request))] = request

    def _crowded(self, request: Request) -> bool:
        """Whether as many runs as a small database bears are at this one."""
        there = [self._databases.get(other.run_id) for other in self._running.values()]
        mine = self._databases.get(request.run_id)
        return mine is not None and there.count(mine) >= DATABASE_RUNS

    def _collect(self) -> None:
        for task in [task for task in self._running if task.done()]:
            request = self._running.pop(task)
            if not (task.cancelled() and self._stopped):
                self._tell(request, _result(task))

    def _tell(self, request: Request, result: Outcome | BaseException) -> None:
        """Pass a result on; a reader that has left must not take the other runs with it."""
        try:
            self._told(request, result)
        # What is caught is raised when the runs have ended; rich exits when nobody reads any more.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            self._fault = self._fault or error

    def _stop(self, why: BaseException) -> None:
        """Begin no more, and have those that run keep what they have; a second time changes nothing."""
        if self._stopped is None:
            self._stopped = why
            self._waiting.clear()
            for task in self._running:
                task.cancel()


def _meaning(number: signal.Signals) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else asyncio.CancelledError()


def _databases(requests: Sequence[Request]) -> dict[str, tuple[str, str]]:
    """Return by run which database it asks; a run that asks none is not in it."""
    asking = {path: _asks(path) for path in {request.procedure.path for request in requests}}
    return {
        request.run_id: (request.system, request.environment)
        for request in requests
        if request.procedure.needs.database or asking[request.procedure.path]
    }


def _asks(notebook: Path) -> bool:
    """Whether a notebook asks the database also where it does not need one, for more evidence."""
    try:
        return _DATABASE in notebook.read_bytes()
    except OSError:
        return False  # what is wrong with it, its run will say


def _result(task: asyncio.Future[Outcome]) -> Outcome | BaseException:
    if task.cancelled():
        return asyncio.CancelledError()
    return task.exception() or task.result()
