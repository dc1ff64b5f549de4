"""Start and stop a kernel without the waits of the stock client.

The stock client lets 0.2 s of silence pass before it believes that a kernel is ready. The answer to
its question, together with the `idle` that follows it on the other channel, proves as much at once:
the kernel works, and we hear what it publishes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from opslib.kernels import spec
from opslib.runner.imports import quick

with quick():
    from jupyter_client.asynchronous import AsyncKernelClient
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from traitlets import Type

_LOOK_S = 0.01
_PATIENCE_S = 60.0

Message = dict[str, Any]


class QuickClient(AsyncKernelClient):  # type: ignore[misc]
    """A client that is ready as soon as the kernel is."""

    async def _async_wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel answers and its messages arrive.

        Args:
            timeout: seconds.

        Raises:
            RuntimeError: it died, or did not answer in time.
        """
        asked: set[str] = set()
        loop = asyncio.get_running_loop()
        until = loop.time() + (timeout or _PATIENCE_S)
        idle = asyncio.ensure_future(self._idle(asked))
        try:
            while not idle.done():
                answer = await self._answered(asked, until)
                await asyncio.wait([idle], timeout=_LOOK_S)
            self._handle_kernel_info_reply(answer)
        finally:
            idle.cancel()

    wait_for_ready = _async_wait_for_ready

    async def _answered(self, asked: set[str], until: float) -> Message:
        """Ask the kernel about itself and return what it says."""
        asked.add(self.kernel_info())
        reply = asyncio.ensure_future(self._reply(asked))
        try:
            while not reply.done():
                await asyncio.wait([reply], timeout=_LOOK_S)
                if not reply.done() and not await self._async_is_alive():
                    raise RuntimeError("Kernel died before replying to kernel_info")
                if asyncio.get_running_loop().time() > until:
                    raise RuntimeError("Kernel didn't respond in time")
            return reply.result()
        finally:
            reply.cancel()

    async def _reply(self, asked: set[str]) -> Message:
        while True:
            message: Message = await self.shell_channel.get_msg(timeout=None)
            if message["msg_type"] == "kernel_info_reply" and message["parent_header"].get("msg_id") in asked:
                return message

    async def _idle(self, asked: set[str]) -> None:
        while True:
            message: Message = await self.iopub_channel.get_msg(timeout=None)
            idle = message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"
            if idle and message["parent_header"].get("msg_id") in asked:
                return


class QuickManager(AsyncKernelManager):  # type: ignore[misc]
    """A manager whose clients are quick, and which does not look for a kernel's end by tenths of a second."""

    client_class = "opslib.runner.kernel.QuickClient"
    client_factory = Type(QuickClient, klass="jupyter_client.KernelClient")

    @property
    def kernel_spec(self) -> Any:
        """The spec `opslib` is known without being installed; nobody else's of that name is taken for it."""
        if self.kernel_name != spec.NAME:
            return super().kernel_spec
        return KernelSpec(**spec.document(), resource_dir="")

    async def _async_wait(self, pollinterval: float = _LOOK_S) -> None:
        await super()._async_wait(min(pollinterval, _LOOK_S))
