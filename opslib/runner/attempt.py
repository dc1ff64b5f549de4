"""Run a procedure if it can look at the system at all; else say what it would need.

No kernel is started for a procedure whose needs are not met: the answer is `skipped`, with what to
add to the system's file. In environment `sandbox` the sandbox is up before the kernel starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opslib import ids
from opslib.errors import OpsError, Refused, UnknownName
from opslib.runner import permission
from opslib.runner.watch import Watch
from opslib.verdict import Finding, Status

if TYPE_CHECKING:
    from opslib.config import Environment
    from opslib.runner.request import Outcome, Request

SANDBOX = "sandbox"
NEEDS = "needs"  # the check of which a procedure that cannot look here has one finding a reason


def target(system: str, environment: str) -> Environment:
    """Return an environment of a system.

    Raises:
        UnknownName: there is no such system or environment.
        ConfigError: the system's file is wrong.
    """
    from opslib import config

    return config.load_system(system).environment(environment)


@contextmanager
def sandbox_for(
    *environments: Environment, progress: Callable[[str], None] = lambda text: None
) -> Iterator[None]:
    """Keep the sandbox up while runs in `sandbox` last; does nothing for other environments.

    Args:
        environments: where the runs are to look.
        progress: told what happens when the sandbox has to be started.

    Raises:
        UnknownName: the sandbox does not rehearse one of these systems.
        SandboxError: it did not start.
    """
    systems = [environment.system for environment in environments if environment.name == SANDBOX]
    if not systems:
        yield
        return
    from opslib.sandbox import control, data

    for system in systems:
        if system.name not in data.systems():
            other = next(iter(system.environments))
            hint = f"look at the real one: --env {other} (or OPSLIB_ENV={other})"
            raise UnknownName(f"{system.name} is not among the systems that the sandbox rehearses", hint=hint)
    with control.ensure(*(system.name for system in systems), progress=progress):
        yield


def attempt(request: Request, environment: Environment) -> dict[str, Any]:
    """Run one procedure, or skip it with the reason.

    Args:
        request: what to run.
        environment: where, as `target` returned it.

    Returns:
        The document of the `--json` contract.

    Raises:
        OpsError: as `execute.run`, and the sandbox could not be started.
    """
    with sandbox_for(environment, progress=request.progress or (lambda text: None)):
        now = target(request.system, request.environment)
        permission.check(request, now)
        reasons = request.procedure.missing(now)
        if reasons:
            return skip(request, now, reasons).document
        from opslib.runner import execute

        return execute.run(request).document


def attempt_many(
    requests: Sequence[Request], *, jobs: int | None = None, watch: Watch | None = None
) -> list[Outcome]:
    """Run several procedures side by side; skip with the reason those that cannot look.

    Args:
        requests: what to run, and where.
        jobs: how many at the same time; None for two more than there are cores.
        watch: told how far they are.

    Returns:
        Their outcomes in the order of the requests; see `execute.run_many` for those that failed.

    Raises:
        Refused: one is to change something; nothing was started.
        OpsError: as `target` and `execute.run_many`, and the sandbox could not be started.
    """
    if any(permission.changing(request) for request in requests):
        raise Refused("several procedures together change nothing", hint="see `opslib plan --help`")
    from opslib.runner import execute

    watch = watch or Watch()
    watch.expect(len(requests))
    with sandbox_for(*_targets(requests).values(), progress=watch.say):
        now = _targets(requests)
        skipped = {request.run_id: _skipped(request, now[_where(request)]) for request in requests}
        for outcome in filter(None, skipped.values()):
            watch.done(outcome)
        able = [watch.over(request) for request in requests if not skipped[request.run_id]]
        ran = execute.run_many(able, jobs=jobs, on_done=watch.done)
    outcomes = {outcome.run_id: outcome for outcome in ran}
    return [skipped[request.run_id] or outcomes[request.run_id] for request in requests]


def _where(request: Request) -> tuple[str, str]:
    return request.system, request.environment


def _targets(requests: Sequence[Request]) -> dict[tuple[str, str], Environment]:
    return {place: target(*place) for place in dict.fromkeys(map(_where, requests))}


def _skipped(request: Request, environment: Environment) -> Outcome | None:
    """Return the outcome of a procedure that cannot look here; None for one that can."""
    reasons = request.procedure.missing(environment)
    if not reasons:
        return None
    from opslib.runner import lost

    try:
        return skip(request, environment, reasons)
    except OpsError as error:
        return lost.outcome(request, error)


def skip(request: Request, environment: Environment, reasons: tuple[str, ...]) -> Outcome:
    """Keep a record of a run that was not started: verdict unknown, one finding a reason."""
    from opslib.runner import notary, origin, results, seal
    from opslib.runner.request import Ending
    from opslib.runner.secrets import masked_intent, masking_for

    procedure = request.procedure
    findings = [Finding(NEEDS, Status.SKIPPED, procedure.id, "not looked at", why=why) for why in reasons]
    result = {"verdict": str(Status.UNKNOWN), "findings": [finding.to_dict() for finding in findings]}
    intent = {
        "run_id": request.run_id,
        "procedure": procedure.id,
        "system": request.system,
        "environment": request.environment,
        "archive": str(request.archive),
        "started_at": ids.stamp(ids.now()),
        "origin": origin.of(request, sorted(secret.name for secret in environment.secrets())),
    }
    notary.requested([request])
    notebook = _page(procedure.title, reasons, {results.RUN_MIME: result})
    masker = masking_for(environment)()
    return seal.seal(notebook, masked_intent(intent, masker), Ending(), masker)


def _page(title: str, reasons: tuple[str, ...], result: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook that says why nothing was run."""
    words = "\n".join(
        [f"# {title}", "", "Not run, because it cannot look here:", "", *(f"- {r}" for r in reasons)]
    )
    output = {"output_type": "display_data", "data": {"text/plain": "not run", **result}, "metadata": {}}
    said = {"cell_type": "markdown", "id": "not-run", "metadata": {}, "source": words}
    told = {"cell_type": "code", "id": "result", "metadata": {}, "source": "", "outputs": [output]}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    cells = [said, {**told, "execution_count": None}]
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
