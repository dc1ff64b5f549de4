"""Jupyter's way to a forked kernel: the provisioner `opslib-fork` of the kernelspec `opslib`.

papermill, nbclient, JupyterLab and its scheduler need not know of it. Where a kernel cannot be forked,
or would differ from a plain one in anything, it is started the ordinary way, and why is said once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from jupyter_client.provisioning import LocalProvisioner

from opslib.kernels import client
from opslib.kernels.client import Cold
from opslib.kernels.handle import Forked
from opslib.kernels.launch import Launch

_HISTORY = "--HistoryManager.hist_file="
# Else IPython would keep every cell, secrets included, in a database in the home folder.
_NO_HISTORY = f"{_HISTORY}:memory:"
_LAUNCHER = ["-m", "ipykernel_launcher"]
_UNDERSTOOD = {"stdin", "stdout", "stderr", "env", "cwd", "independent", "kernel_id", "extra_arguments"}

log = logging.getLogger("opslib.kernels")
_said: set[str] = set()


class ForkProvisioner(LocalProvisioner):  # type: ignore[misc]
    """Starts kernels as forks of the zygote, and otherwise as `LocalProvisioner` does."""

    process: Any = None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Prepare the launch; no kernel of this spec keeps a history, however it is started."""
        prepared: dict[str, Any] = await super().pre_launch(**kwargs)
        if not any(word.startswith(_HISTORY) for word in prepared["cmd"]):
            prepared["cmd"] = [*prepared["cmd"], _NO_HISTORY]
        return prepared

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Start the kernel and return how to connect to it."""
        reason = client.usable()
        if not reason:
            try:
                await self._fork(cmd, kwargs)
                return self.connection_info
            except Cold as error:
                _say(str(error))
        else:
            log.debug("plain kernel: %s", reason)
        return await super().launch_kernel(cmd, **kwargs)

    async def poll(self) -> int | None:
        """Return the exit code of the kernel; None while it lives."""
        code: int | None = await super().poll()
        if self.orphaned:
            client.distrust("the zygote was killed")
        return code

    @property
    def orphaned(self) -> bool:
        """Say whether the kernel ended because the zygote was killed."""
        return isinstance(self.process, Forked) and self.process.orphaned

    async def wait(self) -> int | None:
        """Wait for the end of the kernel and return its exit code."""
        process = self.process
        if not isinstance(process, Forked):
            plain: int | None = await super().wait()
            return plain
        code = await process.ended()
        await self.poll()
        process.close()
        self.process = None
        return code

    async def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel and what it started."""
        if isinstance(self.process, Forked):
            self.process.send_signal(signum)
        else:
            await super().send_signal(signum)

    async def _fork(self, cmd: list[str], kwargs: Mapping[str, Any]) -> None:
        argv = _understood(cmd, kwargs)
        env = {**(kwargs.get("env") or os.environ), "JPY_PARENT_PID": str(os.getpid())}
        cwd = str(Path(kwargs.get("cwd") or Path.cwd()).absolute())
        with _streams(kwargs) as streams:
            process = await _launched(Launch(cmd, argv, cwd=cwd, env=env, streams=streams))
        self.process = process
        self.pid = self.pgid = process.pid
        self.cwd = cwd


async def _launched(launch: Launch) -> Forked:
    """Await a launch; one that is cancelled leaves no kernel."""
    running = asyncio.get_running_loop().run_in_executor(None, launch.run)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        launch.abandon()
        # The streams may be closed only when nobody sends them any more.
        with suppress(Cold):
            (await running).close()
        raise


def _understood(cmd: list[str], kwargs: Mapping[str, Any]) -> list[str]:
    """Return the kernel's own arguments.

    Raises:
        Cold: something was asked for that a fork cannot be given.
    """
    if cmd[0] != sys.executable or cmd[1:3] != _LAUNCHER:
        raise Cold(f"{' '.join(cmd[:3])} is another command than ours")
    others = sorted(name for name in kwargs if name not in _UNDERSTOOD)
    if kwargs.get("independent") or kwargs.get("stdin") is not None:
        others.append("independent or stdin")
    if others:
        raise Cold(f"a fork cannot be given {', '.join(others)}")
    return cmd[3:]


@contextmanager
def _streams(kwargs: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    """Yield the descriptors that the kernel is to have as stdout and stderr.

    Raises:
        Cold: a pipe is to be made.
    """
    empty = os.open(os.devnull, os.O_WRONLY)
    try:
        out = _stream(kwargs.get("stdout"), 1, empty)
        same = kwargs.get("stderr") == subprocess.STDOUT
        yield out, out if same else _stream(kwargs.get("stderr"), 2, empty)
    finally:
        os.close(empty)


def _stream(given: Any, inherited: int, empty: int) -> int:
    if given == subprocess.PIPE:
        raise Cold("a fork cannot be given a pipe that is yet to be made")
    if given == subprocess.DEVNULL:
        return empty
    if given is None:
        return inherited if _open(inherited) else empty
    return given if isinstance(given, int) else int(given.fileno())


def _open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _say(reason: str) -> None:
    if reason not in _said:
        _said.add(reason)
        log.warning("kernels start the slow way: %s", reason)
