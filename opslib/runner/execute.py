"""Run procedures: check, spool, execute, mask, seal.

Each run has a kernel of its own that lives no longer than the run. Several runs go side by side in one
event loop. The spool is written before the kernel starts and masked before it is written.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

from opslib import config, ids
from opslib.archive import record, store
from opslib.errors import ArchiveError, ProcedureError
from opslib.masking import Masker, register
from opslib.runner import lost, notary, notebooks, origin, permission, recover, results, seal
from opslib.runner.memory import one_arena
from opslib.runner.request import Ending, Outcome, Request
from opslib.runner.secrets import Masking, masked_intent, masking_for
from opslib.runner.spool import Saver, Spool, opened
from opslib.runner.together import Together, Told, bounded, usual

__all__ = ["Outcome", "Request", "run", "run_many"]

Kept = TypeVar("Kept")


def run(request: Request) -> Outcome:
    """Run one procedure and keep its record.

    Raises:
        ArchiveError, DiskFull: the record cannot be kept; said before the kernel starts if possible.
        ConfigError, UnknownName: the system or its environment is wrong.
        ProcedureError: the notebook's file is gone.
        KeyboardInterrupt: the run was interrupted; its record is kept.
    """
    ended: list[Outcome | BaseException] = []
    _together([request], 1, lambda request, result: ended.append(result))
    (result,) = ended
    if isinstance(result, BaseException):
        raise result
    return result


def run_many(
    requests: Sequence[Request], *, jobs: int | None = None, on_done: Callable[[Outcome], None] | None = None
) -> list[Outcome]:
    """Run procedures side by side and return their outcomes in the order of the requests.

    What would end a run alone with an error is here the outcome of that run: unknown, with the reason, and
    no record. The others go on.

    Args:
        requests: what to run.
        jobs: how many at the same time, as far as files can be open; None for two more than there are cores.
        on_done: told each outcome as it comes.

    Raises:
        ArchiveError: an archive is no folder that can be used; nothing was started.
        KeyboardInterrupt: the runs were interrupted; all kernels are gone and all records kept.
        Exception: what `on_done` raised, when all runs have ended.
    """
    outcomes: dict[str, Outcome] = {}

    def told(request: Request, result: Outcome | BaseException) -> None:
        outcome = result if isinstance(result, Outcome) else lost.outcome(request, result)
        outcomes[request.run_id] = outcome
        if on_done:
            on_done(outcome)

    _together(requests, bounded(jobs or usual()), told)
    return [outcomes[request.run_id] for request in requests]


def _together(requests: Sequence[Request], jobs: int, told: Told) -> None:
    for archive in {request.archive for request in requests}:
        store.check(archive)
    notary.requested(requests)
    one_arena()
    ended = asyncio.run(_all(requests, jobs, told))
    if ended:
        raise ended


async def _all(requests: Sequence[Request], jobs: int, told: Told) -> BaseException | None:
    with ThreadPoolExecutor(jobs, "opslib-seal") as sealing:
        side_by_side = Together(requests, partial(_one, sealing), jobs, told)
        with side_by_side.signals():
            ended = await side_by_side.all()
            # Of a run that was stopped where it could not seal, the spool is left.
            for archive in {request.archive for request in requests} if ended else ():
                recover.sweep(archive)
    return ended


async def _one(sealing: Executor, request: Request) -> Outcome:
    begun = ids.stamp(ids.now())
    environment = config.load_system(request.system).environment(request.environment)
    if request.secret_input:
        register("input", request.secret_input)
    masking = masking_for(environment)
    names = sorted(secret.name for secret in environment.secrets())
    # git answers while the notebook is read.
    asked = asyncio.get_running_loop().run_in_executor(None, origin.of, request, names)
    # Apart from the one for saves: its counts are those of the record, not of every save before it.
    masker = masking()
    notebook, broke = _prepared(request, masker)
    intent = masked_intent(_intent(request, begun, await asked), masker)
    if broke:
        return seal.seal(notebook, intent, broke, masker)
    with opened(request.run_id) as spool:
        spool.write_intent(intent)
        await _whole(sealing, partial(notary.started, request.archive, request.run_id))
        _heed()
        ending = await _execute(request, spool, notebook, masking, masker)
        if ending.bereft and not permission.changing(request):
            ending = await _again(request, spool, notebook, masking, masker)
        outcome = await _whole(sealing, partial(_kept, spool, intent, notebook, ending, masker))
    if ending.cause == "interrupted":
        raise asyncio.CancelledError
    return outcome


async def _whole(sealing: Executor, work: Callable[[], Kept]) -> Kept:
    """Do the work in a thread, while other runs go on; whoever stops us waits for its end.

    The disk takes its time to keep what it is given, and kernels would wait meanwhile for their next cell.
    """
    doing = asyncio.get_running_loop().run_in_executor(sealing, work)
    while not doing.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(doing)
    return doing.result()


def _heed() -> None:
    """Go no further if we were told to stop while something was done that had to come to its end."""
    task = asyncio.current_task()
    if task and task.cancelling():
        raise asyncio.CancelledError


def _kept(spool: Spool, intent: dict[str, Any], notebook: Any, ending: Ending, masker: Masker) -> Outcome:
    """Put a run that has ended into the archive.

    Raises:
        ArchiveError: it cannot be kept there; it is kept in its spool.
    """
    shown = notebooks.masked(notebook, masker)
    ending = _masked(ending, masker)
    if masker.quarantine:
        shown, ending = notebooks.empty(), _withheld(masker.quarantine)
    try:
        outcome = seal.seal(shown, intent, ending, masker)
    except ArchiveError as error:
        raise _unsealed(spool, shown, ending, masker, error) from error
    spool.remove()
    return outcome


def _prepared(request: Request, masker: Masker) -> tuple[Any, Ending | None]:
    """Return the notebook, and how the run has ended where it cannot even be read; others go on."""
    try:
        return notebooks.prepared(request.procedure.path, request.given), None
    except ProcedureError as error:
        return notebooks.empty(), _masked(Ending("procedure-broke", error.message), masker)


async def _again(request: Request, spool: Spool, notebook: Any, saving: Masking, cutting: Masker) -> Ending:
    """Execute a notebook from its start, as what killed its kernel was no fault of its own.

    The zygote is distrusted by then, so this kernel is a plain one. Never for a run that changes
    something: nobody knows what it has done, and applied again it finds out.
    """
    if request.progress:
        _said(request)("the process that kernels are forked from was killed; once more, on a plain kernel")
    notebooks.unexecuted(notebook)
    notebook.metadata["papermill"]["attempt"] = 2
    return await _execute(request, spool, notebook, saving, cutting)


def _unsealed(
    spool: Spool, notebook: Any, ending: Ending, masker: Masker, error: ArchiveError
) -> ArchiveError:
    """Keep for the next call a run whose record cannot be written now, and say what it has found."""
    with suppress(ArchiveError):  # the spool may be on the same full disk
        spool.write_masked(masker.summary())
        spool.write_ending(record.encode(notebook), ending)
    result, fault = results.read(notebook)
    cause = (result.get("cause") or {}).get("id")
    found = ending.text or fault or f"{result['verdict']}{f' ({cause})' if cause else ''}"
    return type(error)(f"{error.message}; what the run found: {found}", hint=error.hint)


async def _execute(request: Request, spool: Spool, notebook: Any, saving: Masking, cutting: Masker) -> Ending:
    """Execute a notebook in place, not masked yet, and return how that ended."""
    from opslib.kernels.spec import NAME as WARM
    from opslib.runner.client import Client

    def save() -> None:
        # Of its own for each save, so that it counts what is there now, and not what every save has met.
        masker = saving()
        content = record.quickly(notebooks.masked(notebook, masker))
        masker.resume(cutting.summary())
        spool.write_masked(masker.summary())
        spool.write_notebook(content)

    saver = Saver(save)
    saver()
    client = Client(notebook, saver, cutting, timeout=math.ceil(request.cell_s), kernel_name=WARM)
    with closing(saver):
        ending = await client.perform(
            env=kernel_environment(request),
            cwd=Path.cwd(),
            run_timeout_s=request.run_s,
            sockets=spool.folder / "kernel",
            progress=_said(request),
        )
    notebooks.close(notebook, ending)
    return ending


def kernel_environment(request: Request) -> dict[str, str]:
    """Return the environment variables of the kernel."""
    own = {"OPSLIB_RUN_ID": request.run_id, "OPSLIB_ARCHIVE": str(request.archive)}
    own["OPSLIB_TRIGGER"] = request.trigger
    if request.secret_input:
        own["OPSLIB_INPUT"] = request.secret_input
    return {**os.environ, **own, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def _intent(request: Request, begun: str, whence: dict[str, Any]) -> dict[str, Any]:
    return {
        "run_id": request.run_id,
        "procedure": request.procedure.id,
        "system": request.system,
        "environment": request.environment,
        "archive": str(request.archive),
        "started_at": begun,
        "origin": json.loads(json.dumps(whence, default=str)),
    }


def _withheld(kinds: Sequence[str]) -> Ending:
    what = f"what looks like a secret that opslib does not know: {', '.join(kinds)}"
    text = f"the run showed {what}; by the system's `records`, nothing of what it showed is kept"
    return Ending("withheld", text, error="Withheld")


def _masked(ending: Ending, masker: Masker) -> Ending:
    return Ending(ending.cause, masker.mask(ending.text), ending.cell, masker.mask(ending.error))


@cache
def _meanwhile() -> None:
    """Have the first page's means made ready in a thread: the kernel is at work, and we would wait."""
    asyncio.get_running_loop().run_in_executor(None, seal.prepare)


def _said(request: Request) -> Callable[[str], None]:
    def said(text: str) -> None:
        _meanwhile()
        if request.progress:
            request.progress(f"{request.procedure.id} on {request.system}: {text}")

    return said
