"""Whether a run may change something: asked before a kernel is started, and again inside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opslib import ids
from opslib.archive.changes import Changes
from opslib.errors import Refused

if TYPE_CHECKING:
    from opslib.config import Environment
    from opslib.runner.request import Request


def check(request: Request, env: Environment) -> None:
    """Do nothing for a dry run; else make sure that an approved plan allows it.

    Raises:
        Refused: it may not change anything; the message says why.
        UnknownName: there is no such plan.
    """
    if not request.procedure.changes or request.parameters.get("dry_run", True):
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
    authority.allow(plan, env, changes, ids.now())
