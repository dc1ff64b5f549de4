"""`ops.gate`: show a plan, and carry out the one that was approved."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from opslib import catalog, config, ids, vendors
from opslib import changes as kinds
from opslib.archive.changes import Changes
from opslib.errors import NotNamed, Refused, SourceError
from opslib.gate import authority, locks, making
from opslib.gate.apply import Applying
from opslib.gate.approving import Authority
from opslib.gate.ledger import Ledger
from opslib.gate.plan import Draft, Plan
from opslib.gate.results import Result, State
from opslib.home import default_archive
from opslib.run import namespace
from opslib.show import changes as words
from opslib.show import display
from opslib.verdict import Cause, Finding, Status

if TYPE_CHECKING:
    from opslib.pg import Database
    from opslib.run.session import Ops

CHECK = "change"
_STATUS = {
    State.DONE: Status.OK,
    State.ALREADY_DONE: Status.OK,
    State.LEFT_OUT: Status.SKIPPED,
    State.NOT_REACHED: Status.SKIPPED,
    State.FAILED: Status.CRITICAL,
    State.UNCLEAR: Status.UNKNOWN,
    State.NOT_BEGUN: Status.UNKNOWN,
    State.TAKEN_BACK: Status.WARNING,
}
_UNTOUCHED = (State.LEFT_OUT, State.NOT_REACHED, State.NOT_BEGUN)


@dataclass(frozen=True)
class Applied:
    """What became of a plan; true when anything may have changed.

    Args:
        results: one a target.
    """

    results: tuple[Result, ...] = ()

    def __bool__(self) -> bool:
        return any(result.state not in _UNTOUCHED for result in self.results)

    def _ipython_display_(self) -> None:
        """Show nothing as the value of a cell: the results are shown where they are made."""


class Gate:
    """The one way in which a notebook changes something.

    Args:
        ops: the run.
        dry_run: show the plan, change nothing.
        approval: digest of the plan that was approved, or its beginning.
        values: the notebook's variables.
    """

    def __init__(self, ops: Ops, *, dry_run: bool, approval: str, values: Any) -> None:
        self._ops, self._dry_run, self._approval, self._values = ops, dry_run, approval, values
        self.shown: Plan | None = None
        self.no_plan = ""  # why there is none, once one was asked for
        self.results: tuple[Result, ...] = ()

    def plan(self, draft: Draft | None) -> Plan | None:
        """Show what would be done, and keep it so that it can be approved.

        Args:
            draft: from a planner of `opslib.changes`; None when there is nothing to do.

        Returns:
            The plan; where an approved one is to be applied, that one, whatever the draft says.

        Raises:
            Refused: the approved plan may not be applied here.
            ArchiveError: the plan cannot be kept.
        """
        if not self._dry_run:
            self.shown = self._approved
            self._show(self.shown, _since(self.shown, draft))
            return self.shown
        if draft is None or not draft.targets:
            self.no_plan = self._why_none(draft)
            display.no_plan(self.no_plan)
            return None
        self.shown = making.make(draft, self._asked, ids.now())
        making.keep(self.shown, self._changes)
        self._show(self.shown, "")
        return self.shown

    def apply(self, plan: Plan | None) -> Applied:
        """Carry out the approved plan; in a dry run only say how to go on.

        Raises:
            Refused: it may not be applied; nothing was changed.
        """
        if plan is None:
            return Applied()
        if self._dry_run:
            display.how_to_go_on(plan, self._need(plan))
            return Applied()
        self._still_wanted()
        allowed = authority.allow(self._approved, self._ops.env, self._changes, ids.now())
        self._matches(self._approved)
        self.results = self._carried_out(self._approved, allowed)
        display.results(self.results)
        applied = Applied(self.results)
        if applied:
            self._ops.superseding()
        self._ops.check.add(findings(self.results))
        return applied

    @property
    def document(self) -> dict[str, Any] | None:
        """The plan as the JSON contract has it."""
        plan = self.shown
        if plan is None:
            return None
        names = [target.name for target in plan.draft.targets]
        whole = {"digest": plan.digest, "targets": names, "expires": plan.expires_at}
        return {**whole, "title": plan.draft.title, "risk": str(plan.draft.risk), "needs": self._need(plan)}

    @cached_property
    def _changes(self) -> Changes:
        return Changes(default_archive())

    @cached_property
    def _approved(self) -> Plan:
        if not self._approval:
            raise Refused(
                "dry_run is off, and no approved plan is named",
                hint="give approval=DIGEST, or use opslib apply",
            )
        return Plan.from_document(self._changes.plan(self._changes.find(self._approval)))

    @property
    def _asked(self) -> making.Asked:
        ops = self._ops
        given = namespace.parameters(ops.procedure, self._values)
        return making.Asked(ops.procedure, namespace.digest(ops.procedure), given, ops.env, ops.run_id)

    def _show(self, plan: Plan, besides: str) -> None:
        asked = catalog.chosen(plan.procedure, plan.parameters)
        display.plan(plan, self._need(plan), besides, asked)

    def _why_none(self, draft: Draft | None) -> str:
        ops = self._ops
        untold = namespace.untold(ops.procedure, self._values)
        return words.no_plan(draft.left_out if draft else {}, ops.verdict.status, untold, ops.procedure)

    def _need(self, plan: Plan) -> str:
        env = self._ops.env
        return authority.needed(config.load_policy().rule(env, plan.draft.risk).need, env)

    def _still_wanted(self) -> None:
        """Raise `Refused` where the notebook's variables are no longer those that the run was begun with.

        In JupyterLab a cell can be run again on its own: `dry_run` may say True by now, or the system
        may be another, while `ops` is still the one from before.
        """
        begun = {
            "dry_run": self._dry_run, "approval": self._approval, "system": self._ops.system.name,
            "environment": self._ops.env.name,
        }  # fmt: skip
        other = [name for name, value in begun.items() if self._values.get(name, value) != value]
        if other:
            text = f"{' and '.join(other)} of the notebook changed since `ops` was made"
            raise Refused(f"{text}; nothing was changed", hint="run all cells again, from the first")

    def _matches(self, plan: Plan) -> None:
        """Raise `Refused` unless this notebook is the one that made the plan, with the same parameters."""
        asked = self._asked
        if plan.procedure != asked.procedure:
            raise Refused(f"plan {plan.short} is of {plan.procedure}, not of {asked.procedure}")
        # The acts of an undo are those that were approved; no code of the notebook chooses them, so
        # a notebook that was brought up to date in the meantime does not stand in its way.
        if plan.notebook != asked.notebook and not plan.undoes:
            raise Refused(f"the notebook has changed since plan {plan.short} was made", hint="plan again")
        if dict(plan.parameters) != dict(asked.parameters):
            raise Refused(
                f"plan {plan.short} was made with other parameters", hint="plan again, or give the same"
            )

    def _carried_out(self, plan: Plan, allowed: Authority) -> tuple[Result, ...]:
        from opslib.runner import deeds

        ops = self._ops
        means = kinds.Means(ops.env, self._database, self._vendor, plan.draft.settings)
        kind = kinds.load(plan.draft.kind)
        ledger = Ledger(self._changes, plan.digest, ops.run_id)
        try:
            with locks.held(plan, kind, means, self._changes.archive, ops.run_id):
                deeds.begun(self._changes.archive, ops.run_id, plan, ops.env, allowed)
                ledger.started(allowed.to_dict())
                said, only = display.Progress(ops.run_id), allowed.settle_only
                return Applying(plan, kind(means), means, ledger, settle_only=only, progress=said).run()
        except (Refused, SourceError) as error:
            # Nothing was begun: somebody else is at it, or there is no way in.
            names = [target.name for target in plan.draft.targets]
            return tuple(Result(name, State.NOT_BEGUN, text=error.message) for name in names)
        finally:
            with suppress(KeyError):
                self.__dict__.pop("_open").close()

    def _database(self) -> Database:
        """Return the database by the operator's door, opened once a plan."""
        from opslib.pg import Database

        door = self._ops.env.operator
        if door is None:
            raise NotNamed(
                f"{self._ops.system.name} names no operator's door to its database in {self._ops.env.name}",
                hint="add `operator:` under database; `opslib doctor --sql` makes the role",
            )
        if "_open" not in self.__dict__:
            name = f"opslib/{self._ops.procedure}/{self._ops.run_id.replace('-', '')}"
            opened = Database((door,), application_name=name, on_call=self._ops.calls.append)
            self.__dict__["_open"] = opened
        found: Database = self.__dict__["_open"]
        return found

    def _vendor(self, name: str) -> Any:
        env = self._ops.env
        access = env.vendors.get(name)
        if access is None:
            raise NotNamed(f"{env.system.name} names no vendor {name} in its file")
        return vendors.load(name)(access, resolver=env.resolver, on_call=self._ops.calls.append)


def findings(results: Iterable[Result]) -> list[Finding]:
    """Return what became of a plan as findings: the done ones together, each other one by its name."""
    kept = list(results)
    done = [r for r in kept if r.state in (State.DONE, State.ALREADY_DONE)]
    expected = "every target is done"
    found = [_finding(result, expected) for result in kept if result not in done]
    if done:
        found.insert(0, Finding(CHECK, Status.OK, "", f"{len(done)} of {len(kept)} done", "", expected))
    return found


def _finding(result: Result, expected: str) -> Finding:
    cause = Cause("change-taken-back", result.text, 10) if result.state is State.TAKEN_BACK else None
    cause = (
        Cause("change-failed", f"{result.target}: {result.text}", 5)
        if result.state is State.FAILED
        else cause
    )
    return Finding(
        CHECK, _STATUS[result.state], result.target, str(result.state), "", expected, result.text, cause=cause
    )


def _since(plan: Plan, draft: Draft | None) -> str:
    """Say what looks like a target now and was not approved."""
    known = {target.name for target in plan.draft.targets}
    new = [target.name for target in draft.targets if target.name not in known] if draft else []
    if not new or plan.undoes:
        return ""
    return f"Not part of what was approved, and left alone: {', '.join(new)}"
