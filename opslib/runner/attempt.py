"""Run a procedure if it can look at the system at all; else say what it would need.

No kernel is started for a procedure whose needs are not met: the answer is `skipped`, with what to
add to the system's file. In environment `sandbox` the sandbox is up before the kernel starts.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from opslib import ids
from opslib.verdict import Finding, Status

if TYPE_CHECKING:
    from opslib.catalog import Procedure
    from opslib.config import Environment
    from opslib.runner.execute import Request

SANDBOX = "sandbox"


def target(system: str, environment: str) -> Environment:
    """Return an environment of a system.

    Raises:
        UnknownName: there is no such system or environment.
        ConfigError: the system's file is wrong.
    """
    from opslib import config

    return config.load_system(system).environment(environment)


def sandbox_for(environment: Environment) -> AbstractContextManager[Any]:
    """Return what keeps the sandbox up while a run in `sandbox` lasts; nothing for other environments."""
    if environment.name != SANDBOX or environment.attached:
        return nullcontext()
    from opslib.sandbox import control

    return control.ensure(environment.system.name)


def attempt(request: Request, environment: Environment) -> dict[str, Any]:
    """Run one procedure, or skip it with the reason.

    Args:
        request: what to run.
        environment: where, as `target` returned it.

    Returns:
        The document of the `--json` contract.
    """
    with sandbox_for(environment):
        reasons = missing(request.procedure, environment)
        if reasons:
            return skipped(request.procedure, environment, reasons)
        from opslib.runner import execute

        return execute.run(request).document


def missing(procedure: Procedure, environment: Environment) -> tuple[str, ...]:
    """Return why a procedure cannot look; in the sandbox, by what is up now."""
    return procedure.missing(target(environment.system.name, environment.name))


def skipped(procedure: Procedure, environment: Environment, reasons: tuple[str, ...]) -> dict[str, Any]:
    """Return the document of a run that was not started: verdict unknown, one finding a reason."""
    now = ids.stamp(ids.now())
    findings = [Finding("needs", Status.SKIPPED, procedure.id, "not looked at", why=why) for why in reasons]
    return {
        "run_id": ids.new_run_id(),
        "procedure": procedure.id,
        "system": environment.system.name,
        "environment": environment.name,
        "verdict": str(Status.UNKNOWN),
        "cause": None,
        "causes": [],
        "findings": [finding.to_dict() for finding in findings],
        "next": [],
        "plan": None,
        "changed": [],
        "record": None,
        "started_at": now,
        "finished_at": now,
        "duration_s": 0.0,
    }
