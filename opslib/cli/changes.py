"""`opslib plan`, `apply`, `undo`: what is to be changed, and changing it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from opslib.cli import confirming, options, output, verdicts, wording
from opslib.errors import Refused, UsageError

if TYPE_CHECKING:
    from opslib.archive.changes import Changes
    from opslib.config import Environment
    from opslib.gate.plan import Plan

LATEST = "latest"
_LONGEST_WATCH_S = 3600
_LOOK_S = 60.0  # on a slow site, one look at what a step does to users
from_stdin = click.option(
    "--stdin", "from_stdin", is_flag=True, help="Read a secret value from stdin, or ask for it without echo."
)


@click.command("plan")
@click.argument("procedure")
@options.system
@options.environment
@click.option("-p", "given", multiple=True, metavar="NAME=VALUE", help="A parameter; may be repeated.")
@from_stdin
@options.archive
@options.as_json
def plan_command(
    procedure: str, system: str | None, environment: str | None, given: tuple[str, ...], from_stdin: bool,
    archive: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Look, and show what would be changed; nothing is.

    Runs the procedure as a dry run and keeps its plan under a digest, for `opslib approve` and
    `opslib apply`. The exit code is the verdict of what was seen, as with `opslib run`.

    \b
    opslib plan database-connections --system kulti
    opslib plan env-vars --system klutr -p name=API_KEY --stdin < key.txt
    """
    from opslib import catalog
    from opslib.cli.runs import given_words
    from opslib.runner import attempt

    chosen = catalog.load().get(procedure)
    if not chosen.changes:
        raise UsageError(f"{procedure} changes nothing", hint=f"opslib run {procedure}")
    target = attempt.target(options.needed_system(system), options.chosen_environment(environment))
    words = given_words(given)
    if {"dry_run", "approval"} & set(words):
        raise UsageError(
            "a plan is always a dry run, of nothing approved yet", hint="leave out dry_run and approval"
        )
    with wording.telling(target):
        parameters = chosen.parse(words)
    folder = options.opened_archive(archive)
    value = _input(from_stdin)
    document = _attempt(chosen, target, {**parameters, "dry_run": True}, folder, as_json, value=value)
    if as_json:
        output.emit(document)
    else:
        verdicts.show(document)
        _show_plan(document, folder, target)
    return verdicts.code(document)


@click.command("apply")
@click.argument("digest")
@options.system
@click.option(
    "--env", "-e", "environment", metavar="NAME", help="Make sure that the plan is for this environment."
)
@from_stdin
@options.archive
@options.as_json
def apply_command(
    digest: str,
    system: str | None,
    environment: str | None,
    from_stdin: bool,
    archive: str | None,
    as_json: bool,
) -> int:
    """Carry out an approved plan, then look again with the same checks.

    The exit code is the verdict after the change, not "done". What has moved since the plan was
    made is left out, and named; nothing is added. Cut off? Run it again: nothing is done twice.

    \b
    opslib apply 3f9c01ab24d7
    """
    folder = options.opened_archive(archive)
    plan = found(digest, folder)
    _is_for(plan, system, environment)
    return _apply(plan, folder, as_json, _input(from_stdin))


@click.command("undo")
@click.argument("run")
@options.archive
@options.as_json
def undo_command(run: str, archive: str | None, as_json: bool) -> int:
    """Take back what a run, or a plan, has changed.

    The undo was shown before the change was approved, so that approval covers it for a while
    (`undo_hours` in parameters/policy.yml); after that the undo is a plan to be approved itself.

    \b
    opslib undo 019aa3c1
    """
    from opslib import config, ids
    from opslib.archive.changes import Changes
    from opslib.gate import making, undo

    folder = options.opened_archive(archive)
    changes = Changes(folder)
    done = _of_run(run, folder, changes)
    env = environment_of(done)
    rule = config.load_policy().rule(env, done.draft.risk)
    back = undo.reverse(done, changes, minutes=rule.expires_minutes, by=making.me(), now=ids.now())
    making.keep(back, changes)
    if not as_json:
        print_plan(back, env)
    confirming.production(back, env, as_json=as_json)
    return _apply(back, folder, as_json)


def _apply(plan: Plan, folder: Path, as_json: bool, value: str = "") -> int:
    from opslib import catalog, ids
    from opslib.archive.changes import Changes
    from opslib.gate import authority
    from opslib.runner import permission

    env = environment_of(plan)
    authority.allow(plan, env, Changes(folder), ids.now())
    chosen = catalog.load().get(plan.procedure)
    parameters = {**permission.own(plan, chosen), "dry_run": False, "approval": plan.digest}
    document = _attempt(
        chosen, env, parameters, folder, as_json, value=value, longer_s=_watched_s(plan) + _commanded_s(plan)
    )
    if as_json:
        output.emit(document)
    else:
        verdicts.show(document)
        _show_changed(document, plan)
    return verdicts.code(document)


def _watched_s(plan: Plan) -> float:
    """Return for how long its steps are watched: nothing may cut it off between two of them."""
    seconds = plan.draft.settings.get("watch_seconds", 0)
    if not isinstance(seconds, int) or not 0 <= seconds <= _LONGEST_WATCH_S:
        raise Refused(f"plan {plan.short} wants to be watched for {seconds!r} seconds", hint="plan again")
    return len(plan.draft.targets) * (_LOOK_S + seconds) if "watch_seconds" in plan.draft.settings else 0.0


def _commanded_s(plan: Plan) -> float:
    """Return how long its commands may take: a build that is cut off leaves half an index behind."""
    from opslib.acts import Statement
    from opslib.pg import sql
    from opslib.pg.settings import COMMAND_TIMEOUT_S

    done = [target.act.name for target in plan.draft.targets if isinstance(target.act, Statement)]
    return COMMAND_TIMEOUT_S * sum(sql.load(name).kind == sql.COMMAND for name in done)


def _attempt(
    procedure: Any, target: Environment, parameters: dict[str, Any], folder: Path, as_json: bool, *,
    value: str = "", longer_s: float = 0.0,
) -> dict[str, Any]:  # fmt: skip
    from opslib.runner import attempt
    from opslib.runner.request import Request

    line = output.progress(not as_json)
    request = Request(
        procedure=procedure, system=target.system.name, environment=target.name, parameters=parameters,
        archive=folder, trigger="manual", progress=line, longer_s=longer_s,
        secret_input=value,
    )  # fmt: skip
    document = attempt.attempt(request, target)
    line("")
    return document


def found(name: str, folder: Path) -> Plan:
    """Return the plan that a digest, or its beginning, names; `latest` is the newest.

    Raises:
        UnknownName: there is none.
        UsageError: `latest` would be of a place with real users: somebody else's may have come since.
    """
    from opslib.archive.changes import Changes
    from opslib.gate.plan import Plan

    changes = Changes(folder)
    kept = changes.digests() if name == LATEST else ()
    plan = Plan.from_document(changes.plan(kept[0] if kept else changes.find(name)))
    if kept and plan.production:
        raise UsageError(f"name the plan by its digest: {plan.short}", hint="`latest` is for rehearsals")
    return plan


def _of_run(name: str, folder: Path, changes: Changes) -> Plan:
    """Return the plan that a run has applied, or the plan of that digest."""
    from opslib.archive.index import Index
    from opslib.errors import UnknownName

    try:
        if name != LATEST:
            return found(name, folder)
        raise UnknownName("the latest is a run")
    except UnknownName as unknown:
        if not name.isascii():  # the index could not even be asked
            raise
        document = Index(folder).get(name)
        plan = document.get("plan")
        if not plan or not document.get("changed"):
            raise UnknownName(
                f"run {document['run_id']} has changed nothing", hint="see `opslib plans`"
            ) from unknown
        return found(plan["digest"], folder)


def environment_of(plan: Plan) -> Environment:
    """Return the environment that a plan is for."""
    from opslib.runner import attempt

    return attempt.target(plan.system, plan.environment)


def _is_for(plan: Plan, system: str | None, environment: str | None) -> None:
    for given, own, what in ((system, plan.system, "system"), (environment, plan.environment, "environment")):
        if given and given != own:
            raise UsageError(
                f"plan {plan.short} is for the {what} {own}, not {given}", hint="see `opslib plans`"
            )


def _input(wanted: bool) -> str:
    """Read a secret value for the kernel; it is never shown, and never an argument."""
    if not wanted:
        return ""
    from opslib import masking

    value = confirming.secret_value()
    masking.register("input", value)
    return value


def _show_plan(document: dict[str, Any], folder: Path, env: Environment) -> None:
    if not document.get("plan"):
        output.say("\nPlan: there is nothing to change.")
        return
    plan = found(document["plan"]["digest"], folder)
    print_plan(plan, env)
    from opslib.show import changes as words

    output.say(f"\n{words.how_to_go_on(plan, document['plan']['needs'])}")


def print_plan(plan: Plan, env: Environment) -> None:
    """Print all that an approval covers."""
    from opslib import config
    from opslib.gate import authority
    from opslib.show import changes as words

    need = authority.needed(config.load_policy().rule(env, plan.draft.risk).need, env)
    output.say("\nPlan", style="bold")
    output.say(words.plan_text(plan, need))


def _show_changed(document: dict[str, Any], plan: Plan) -> None:
    rows = [(c["target"], c["state"], c["at"], c["text"]) for c in document.get("changed") or []]
    if rows:
        output.table(("TARGET", "WHAT BECAME OF IT", "WHEN", "WHY"), rows, title="Changed")
    done = any(row[1] in ("done", "already done") for row in rows)
    if done and any(target.undo for target in plan.draft.targets):
        output.say(f"\nTo take it back: opslib undo {document['run_id'][:13]}", style="dim")
