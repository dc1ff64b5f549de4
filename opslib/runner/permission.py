"""Whether a run may change something: asked before a kernel is started, and again inside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opslib import ids
from opslib.archive.changes import Changes
from opslib.errors import Refused, UsageError

if TYPE_CHECKING:
    from opslib.catalog import Procedure
    from opslib.config import Environment
    from opslib.gate.plan import Plan
    from opslib.runner.request import Request


def check(request: Request, env: Environment) -> None:
    """Do nothing for a dry run; else make sure that an approved plan allows it.

    Raises:
        Refused: it may not change anything; the message says why.
        UnknownName: there is no such plan.
    """
    if not changing(request):
        return
    approval = str(request.parameters.get("approval", ""))
    if not approval:
        hint = f"opslib plan {request.procedure.id} --system {request.system}, then approve and apply it"
        raise Refused("dry_run=false without an approved plan changes nothing", hint=hint)
    if request.trigger != "manual":
        raise Refused(f"a run that was started by the {request.trigger} changes nothing")
    from opslib.gate import authority
    from opslib.gate.plan import Plan

    changes = Changes(request.archive)
    plan = Plan.from_document(changes.plan(changes.find(approval)))
    if plan.procedure != request.procedure.id:
        raise Refused(f"plan {plan.short} is of {plan.procedure}, not of {request.procedure.id}")
    own(plan, request.procedure)
    authority.allow(plan, env, changes, ids.now())


def changing(request: Request) -> bool:
    """Say whether a run is to change something, and not only to plan it."""
    return request.procedure.changes and not request.parameters.get("dry_run", True)


def own(plan: Plan, procedure: Procedure) -> dict[str, Any]:
    """Return the parameters of a plan, as the procedure declares them.

    Their names become code of the notebook, so one that is not declared never gets there.

    Raises:
        Refused: they are not the procedure's own.
    """
    from opslib.run.namespace import OF_THE_RUN

    if set(OF_THE_RUN) & set(plan.parameters):
        raise Refused(f"plan {plan.short} names what its run decides", hint="plan again")
    try:
        return procedure.parse(plan.parameters)
    except UsageError as error:
        raise Refused(
            f"plan {plan.short} was not made by {procedure.id}: {error.message}", hint="plan again"
        ) from None
