"""What each kind of change may do at most, whatever a plan says of itself.

Nothing in a plan proves that a planner made it: who may write into the archive can write one by hand,
and call it harmless. So its risk has a floor, and each act must be one of the few that its kind knows,
about the very thing that the target names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from opslib.acts import Act, Request, Statement, Work
from opslib.errors import Refused
from opslib.gate.plan import Plan, Risk, Target

Fits = Callable[[Any, Mapping[str, Any]], bool]  # an act, and the identity of its target

_ORDER = tuple(Risk)
_ID = r"[A-Za-z0-9_.-]+"
_TEAM = frozenset({"teamId", "slug"})


def check(plan: Plan) -> None:
    """See that a plan keeps within the bounds of its kind.

    Raises:
        Refused: it does not; the message names the target.
    """
    if plan.draft.kind not in BOUNDS:
        return  # then there is none of that kind, and nothing that could carry it out
    least, known = BOUNDS[plan.draft.kind]
    if _ORDER.index(plan.draft.risk) < _ORDER.index(least):
        raise Refused(f"plan {plan.short} says risk {plan.draft.risk}, and its kind has {least} at least")
    for target in plan.draft.targets:
        _known(plan, target, target.act, known)
        if target.undo:
            _known(plan, target, target.undo, known)


def _known(plan: Plan, target: Target, act: Act, known: tuple[Fits, ...]) -> None:
    fitting = any(fits(act, target.identity) for fits in known)
    if not fitting or (plan.draft.kind == "credit" and not _adds_up(act, target)):
        what = f"{act.text} is nothing that a change of the kind {plan.draft.kind} does there"
        raise Refused(f"plan {plan.short}, {target.name}: {what}", hint="do not apply it; ask who made it")


def _statement(statement: str, kind: type[Statement] | type[Work] = Statement, **tied: str) -> Fits:
    """Return what a statement, or a work, must be: parameter -> part of the identity that it must be."""

    def fits(act: Any, identity: Mapping[str, Any]) -> bool:
        scripted = isinstance(act, Statement) and bool(act.script)
        if not isinstance(act, kind) or act.name != statement or scripted:
            return False
        return all(_equal(act.params.get(given), identity.get(part)) for given, part in tied.items())

    return fits


def _request(
    source: str, method: str, path: str, *fields: str, params: frozenset[str] = frozenset(),
    **tied: str,
) -> Fits:  # fmt: skip
    """Return what a request must be.

    Args:
        source, method: as in the act.
        path: `{part}` stands for a part of the identity, `*` for any one id.
        fields: all that the body may hold.
        params: all query parameters that it may have.
        tied: field of the body -> part of the identity that it must be.
    """

    def fits(act: Any, identity: Mapping[str, Any]) -> bool:
        if not isinstance(act, Request) or (act.source, act.method) != (source, method):
            return False
        body = act.body if isinstance(act.body, Mapping) else {}
        return (
            (act.body is None or isinstance(act.body, Mapping))
            and re.fullmatch(_pattern(path, identity), act.path) is not None
            and ".." not in act.path
            and set(act.params) <= params
            and set(body) <= set(fields)
            and all(_equal(body.get(name), identity.get(part)) for name, part in tied.items())
        )

    return fits


def _pattern(path: str, identity: Mapping[str, Any]) -> str:
    parts = re.split(r"(\{\w+\}|\*)", path)
    return "".join(_piece(part, identity) for part in parts)


def _piece(part: str, identity: Mapping[str, Any]) -> str:
    if part == "*":
        return _ID
    return re.escape(quote(str(identity.get(part[1:-1], "")))) if part.startswith("{") else re.escape(part)


def _equal(given: Any, wanted: Any) -> bool:
    return given is not None and type(given) is type(wanted) and bool(given == wanted)


def _railway(act: Any, identity: Mapping[str, Any]) -> bool:
    """Tell whether an act starts an earlier image: the whole text of the mutation, not its name alone."""
    if (
        not isinstance(act, Request)
        or not isinstance(act.body, Mapping)
        or identity.get("vendor") != "railway"
    ):
        return False
    from opslib.vendors import railway_acts

    variables = act.body.get("variables")
    wanted = variables.get("id") if isinstance(variables, Mapping) else None
    return isinstance(wanted, str) and act == railway_acts.rollback(wanted)


def _create_index(act: Any, identity: Mapping[str, Any]) -> bool:
    """Tell whether an act builds the one index that the target names, on the table that it names."""
    if not isinstance(act, Statement) or act.name != "create_index":
        return False
    relation, table = identity.get("relation"), act.params.get("table")
    if not isinstance(relation, list) or len(relation) != 2 or not isinstance(table, list):
        return False
    return table == identity.get("table") and [table[0], act.params.get("index")] == relation


def _adds_up(act: Act, target: Target) -> bool:
    """Tell whether an entry makes of the account that was seen what the target says, in the words it says."""
    given = dict(act.params) if isinstance(act, Statement) and target.undo is None else {}
    said = [given.pop(name, None) for name in ("delta", "on_balance", "seen_balance", "seen_ledger")]
    if any(type(value) is not int for value in said):
        return False
    (delta, added, balance, ledger), note = said, given.pop("note", None)
    return (
        added in (0, delta)
        and target.before == {"balance": balance, "ledger": ledger, "written": False}
        and target.after == {"balance": balance + added, "ledger": ledger + delta, "written": True}
        and given == target.identity
        and str(given["entry"]).startswith("opslib:")
        and target.name == f"{given['owner']}: {note}"
    )


def _batch(act: Any, identity: Mapping[str, Any]) -> bool:
    """Tell whether an act moves, moves back or deletes the old rows that the target names, and no others."""
    if not isinstance(act, Statement) or act.script:
        return False
    if "archive" not in identity:
        return act.name == "delete_batch" and _tied(act, identity, "table")
    sides = ("table", "archive") + (("child", "child_archive") if "child" in identity else ())
    if act.name != ("archive_family_batch" if "child" in identity else "archive_batch"):
        return False
    exchanged = dict(zip(sides, (sides[at ^ 1] for at in range(len(sides))), strict=True))
    there = {**identity, **{one: identity[other] for one, other in exchanged.items()}}
    return _tied(act, identity, *sides) or _tied(act, there, *sides)


def _tied(act: Statement, identity: Mapping[str, Any], *sides: str) -> bool:
    """Tell whether an act has the tables, columns and times of an identity."""
    known = [name for name in ("key", "time", "parent_key", "since", "cutoff") if name in act.params]
    return {"time", "since", "cutoff"} <= set(known) and all(
        _equal(act.params.get(name), identity.get(name)) for name in (*sides, *known)
    )


def _doppler(act: Any, identity: Mapping[str, Any]) -> bool:
    """Tell whether an act sets or removes the one secret that the target names."""
    secret = _request(
        "doppler", "POST", "/v3/configs/config/secrets", "project", "config", "change_requests",
        project="project", config="config",
    )  # fmt: skip
    changes = act.body.get("change_requests") if secret(act, identity) else None
    if not isinstance(changes, list) or len(changes) != 1 or not isinstance(changes[0], Mapping):
        return False
    return _equal(changes[0].get("name"), identity.get("name"))


def _branch(act: Any, identity: Mapping[str, Any]) -> bool:
    """Tell whether an act begins the one branch that the target names."""
    begun = _request("neon", "POST", "/projects/{project}/branches", "branch", "endpoints")
    branch = act.body.get("branch") if begun(act, identity) else None
    return isinstance(branch, Mapping) and _equal(branch.get("name"), identity.get("branch"))


def _migration(act: Any, identity: Mapping[str, Any]) -> bool:
    """Tell whether an act notes the one migration that the target names, after the file that says it."""
    if not isinstance(act, Statement) or act.name not in ("note_migration", "note_migration_name"):
        return False
    said = {"version": act.params.get("version"), "role": act.role, "file": act.script_name}
    return bool(act.script) and all(_equal(value, identity.get(name)) for name, value in said.items())


_FILE = {name: name for name in ("bucket", "side", "place", "key", "source")}
_ENV = "/v9/projects/{project}/env/*"
_BACK = _request("vercel", "POST", "/v1/projects/{project}/rollback/*", params=_TEAM | {"description"})
BOUNDS: Mapping[str, tuple[Risk, tuple[Fits, ...]]] = {
    "session": (
        Risk.MEDIUM,
        (
            _statement("terminate_session", pid="pid", backend_start="backend_start"),
            _statement("cancel_session", pid="pid", backend_start="backend_start"),
        ),
    ),
    "upkeep": (
        Risk.MEDIUM,
        (
            _statement("vacuum_table", table="relation"),
            _statement("analyze_table", table="relation"),
            _statement("reindex_index", index="relation"),
            _statement("drop_index", index="relation"),
            _statement("refresh_view", view="relation"),
            _statement("refresh_view_concurrently", view="relation"),
            _statement("note_refresh", table="table", view="view", time="time", name="name"),
            _create_index,
        ),
    ),
    "archiving": (Risk.HIGH, (_batch,)),
    "credit": (
        Risk.HIGH,
        (_statement("credit_entry", owner="owner", entry="entry"),),
    ),
    "restore": (
        Risk.MEDIUM,
        (_statement("restore_backup", Work, target="target", database="database", server="server"),),
    ),
    "files": (
        Risk.MEDIUM,
        (_statement("copy_file", Work, **_FILE), _statement("remove_file", Work, **_FILE)),
    ),
    "flag": (Risk.MEDIUM, (_statement("set_feature_flag", name="flag"),)),
    "flag_posthog": (
        Risk.MEDIUM,
        (
            _request(
                "posthog",
                "PATCH",
                "/api/projects/{project}/feature_flags/{id}/",
                "active",
                "filters",
                "version",
                "original_flag",
            ),
        ),
    ),
    "deployment": (
        Risk.HIGH,
        (_BACK, _request("vercel", "POST", "/v10/projects/{project}/promote/*", params=_TEAM), _railway),
    ),
    "past": (Risk.LOW, (_branch,)),
    "past_in_place": (
        Risk.BREAK_GLASS,
        (
            _request(
                "supabase",
                "POST",
                "/v1/projects/{project}/database/backups/restore-pitr",
                "recovery_time_target_unix",
                recovery_time_target_unix="moment",
            ),
        ),
    ),
    "migration": (Risk.HIGH, (_migration,)),
    "variable": (
        Risk.HIGH,
        (
            _request(
                "vercel",
                "POST",
                "/v10/projects/{project}/env",
                "key",
                "value",
                "type",
                "target",
                "comment",
                params=_TEAM,
                key="name",
            ),
            _request("vercel", "PATCH", _ENV, "value", "comment", params=_TEAM),
            _request("vercel", "DELETE", _ENV, params=_TEAM),
            _request("vercel", "DELETE", "/v1/projects/{project}/env", "ids", params=_TEAM),
            _request(
                "vercel",
                "POST",
                "/v13/deployments",
                "deploymentId",
                "name",
                "meta",
                "target",
                params=_TEAM | {"forceNew"},
            ),
            _BACK,
            _doppler,
        ),
    ),
}
