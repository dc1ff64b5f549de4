"""What a plan may do at most, by its kind: one that was written by hand is held to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from opslib import changes as kinds
from opslib.acts import Act, Request, Statement, Work
from opslib.errors import Refused
from opslib.gate import authority, bounds
from opslib.gate.plan import Draft, Plan, Risk, Target
from opslib.vendors import (
    doppler_acts,
    neon_acts,
    posthog_acts,
    railway_acts,
    supabase_acts,
    vercel_acts,
    vercel_variable_acts,
)
from tests.changing import Office

FLAG = {"store": "sql", "flag": "new"}
HOG = {"store": "posthog", "project": "7", "flag": "new", "id": 3}
HOG_PATH = "/api/projects/7/feature_flags/3/"
SESSION = {"pid": 5, "backend_start": "2026-11-21T10:00:00Z"}
VERCEL = {"vendor": "vercel", "project": "prj_1", "target": "production"}
RAILWAY = {"vendor": "railway", "project": "p"}
VARIABLE = {"where": "vercel", "project": "prj_1", "name": "KEY", "target": "production"}
DOPPLER = {"where": "doppler", "project": "p", "config": "c", "name": "KEY"}
BRANCH = {"vendor": "neon", "project": "shop", "branch": "opslib-1"}
REF = "abcdefghijklmnopqrst"
IN_PLACE = {"vendor": "supabase", "project": REF, "moment": 7, "started": "x"}
FILE = {"table": ["public", "m"], "version": "014", "file": "014_a.sql", "role": "app"}
NOTED = Statement("note_migration", {"version": "014"}, "select 1", "014_a.sql", "app")
OLD = {
    "table": ["public", "jobs"], "archive": ["public", "jobs_archive"], "key": "id", "time": "ended_at",
    "since": "2020-01-01T00:00:00+00:00", "cutoff": "2025-01-01T00:00:00+00:00",
}  # fmt: skip
FAMILY = {**OLD, "child": ["public", "logs"], "child_archive": ["public", "old_logs"], "parent_key": "job"}
KEPT = {name: value for name, value in OLD.items() if name != "archive"}
MOVE = Statement(
    "archive_batch", {**{n: v for n, v in OLD.items() if n != "key"}, "columns": ["id"], "rows": 9}
)
ALONG = Statement("archive_family_batch", {**FAMILY, "columns": ["id"], "child_columns": ["id"], "rows": 9})
GO = Statement("delete_batch", {**{n: v for n, v in KEPT.items() if n != "key"}, "rows": 9})
CREDITS = {
    "table": ["public", "c"], "ledger": ["public", "l"], "user": "user_id", "balance": "balance",
    "changed": "updated_at", "amount": "amount", "owner": "u1", "entry": "opslib:refund:7",
}  # fmt: skip
ENTRY = Statement(
    "credit_entry",
    {**CREDITS, "note": "refund", "delta": 5, "on_balance": 5, "seen_balance": 1, "seen_ledger": 2},
)
ACCOUNT = {"balance": 1, "ledger": 2, "written": False}
MENDED = {"balance": 6, "ledger": 7, "written": True}
INDEX = {"relation": ["public", "jobs_old"], "table": ["public", "jobs"]}
BUILD = Statement("create_index", {"table": ["public", "jobs"], "index": "jobs_old"})
RESTORED = {"target": "scratch", "database": "klutr", "server": "1"}
RESTORE = Work("restore_backup", RESTORED)
FILE_AT = {"bucket": "uploads", "side": "live", "place": "supabase:b", "key": "a.mp3", "source": "a.mp3"}
BACK = Work("copy_file", {**FILE_AT, "size": 3, "sha256": "0", "type": "audio/mpeg"})
HOOK = Request(
    "railway", "POST", "", {}, {**railway_acts.rollback("x").body, "query": "mutation { projectDelete }"}
)


def plan(office: Office, kind: str, identity: dict[str, Any], act: Act, undo: Act | None = None) -> Plan:
    """Return a plan with one act."""
    one = Target("it", identity, {"value": "1"}, {"value": "2"}, act, undo)
    if kind == "credit":
        one = replace(one, name="u1: refund", before=ACCOUNT, after=MENDED)
    return office.plan(Draft(kind, "Do it", (one,), bounds.BOUNDS[kind][0], "nobody notices"))


def other(act: Statement, **params: Any) -> Statement:
    """Return a statement with other parameters."""
    return replace(act, params={**act.params, **params})


def new_variable(name: str) -> Request:
    """Return an act that sets a variable that is not there."""
    return vercel_variable_acts.create("prj_1", name, ["production"], type="encrypted", comment="", team="")


def set_flag(name: str) -> Statement:
    """Return an act on one flag."""
    return Statement("set_feature_flag", {"name": name})


def begin(name: str, project: str = "shop") -> Request:
    """Return an act that begins a branch."""
    return neon_acts.create_branch(project, "br-1", name, "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")


_GOOD: dict[str, tuple[dict[str, Any], Act]] = {
    "flag": (FLAG, set_flag("new")),
    "session": (SESSION, Statement("terminate_session", SESSION)),
    "flag_posthog": (HOG, posthog_acts.update("7", 3, {"active": True}, {"active": False}, 1)),
    "deployment": (VERCEL, vercel_acts.rollback("prj_1", "dpl_1")),
    "variable": (VARIABLE, vercel_variable_acts.delete("prj_1", "id", team="")),
    "past": (BRANCH, begin("opslib-1")),
    "past_in_place": (IN_PLACE, supabase_acts.restore_to(REF, 7)),
    "migration": (FILE, NOTED),
    "archiving": (OLD, MOVE),
    "credit": (CREDITS, ENTRY),
    "upkeep": (INDEX, BUILD),
    "restore": (RESTORED, RESTORE),
    "files": (FILE_AT, BACK),
}


def test_every_kind_of_change_has_its_bounds() -> None:
    """Else a new one would have none."""
    assert set(bounds.BOUNDS) == set(kinds.names())


@pytest.mark.parametrize(
    "kind, identity, act",
    [
        ("flag", FLAG, set_flag("new")),
        ("flag_posthog", HOG, posthog_acts.update("7", 3, {"active": True}, {"active": False}, 1)),
        ("session", SESSION, Statement("terminate_session", SESSION)),
        ("deployment", VERCEL, vercel_acts.rollback("prj_1", "dpl_1", team="team_1")),
        ("deployment", VERCEL, vercel_acts.promote("prj_1", "dpl_1", team="t")),
        ("deployment", RAILWAY, railway_acts.rollback("x")),
        ("variable", VARIABLE, new_variable("KEY")),
        ("variable", VARIABLE, vercel_variable_acts.delete_created("prj_1", team="")),
        ("variable", VARIABLE, vercel_acts.redeploy("kulti", "dpl_1", meta={"opslib": "x"})),
        ("variable", DOPPLER, doppler_acts.create("p", "c", "KEY")),
        ("past", BRANCH, begin("opslib-1")),
        ("past_in_place", IN_PLACE, supabase_acts.restore_to(REF, 7)),
        ("migration", FILE, NOTED),
        ("archiving", OLD, MOVE),
        ("archiving", OLD, other(MOVE, table=OLD["archive"], archive=OLD["table"])),
        ("archiving", FAMILY, ALONG),
        (
            "archiving",
            FAMILY,
            other(
                ALONG, table=OLD["archive"], archive=OLD["table"], child=FAMILY["child_archive"],
                child_archive=FAMILY["child"],
            ),
        ),
        ("archiving", KEPT, GO),
        ("credit", CREDITS, ENTRY),
        ("upkeep", INDEX, BUILD),
        ("upkeep", INDEX, Statement("drop_index", {"index": INDEX["relation"]})),
        ("restore", RESTORED, RESTORE),
        ("files", FILE_AT, BACK),
        ("files", FILE_AT, replace(BACK, name="remove_file")),
    ],
    ids=lambda part: part.text if isinstance(part, Request | Statement | Work) else "",
)  # fmt: skip
def test_what_the_planners_plan_is_within_the_bounds(
    office: Office, kind: str, identity: dict[str, Any], act: Act
) -> None:
    """Each act that there is a builder for."""
    bounds.check(plan(office, kind, identity, act))


@pytest.mark.parametrize(
    "kind, identity, act",
    [
        ("flag", FLAG, set_flag("other")),
        ("flag", FLAG, Statement("terminate_session", SESSION)),
        ("flag", FLAG, vercel_acts.rollback("prj_1", "dpl_1")),
        ("session", SESSION, Statement("terminate_session", {**SESSION, "pid": 6})),
        ("session", {**SESSION, "pid": True}, Statement("terminate_session", {**SESSION, "pid": 1})),
        ("flag_posthog", HOG, Request("posthog", "DELETE", "/api/projects/7/feature_flags/3/")),
        ("flag_posthog", HOG, posthog_acts.update("7", 4, {"active": True}, {"active": False}, 1)),
        ("flag_posthog", HOG, Request("posthog", "PATCH", HOG_PATH, {}, {"deleted": True})),
        ("deployment", VERCEL, vercel_acts.rollback("prj_2", "dpl_1")),
        ("deployment", VERCEL, Request("vercel", "POST", "/v1/projects/prj_1/rollback/../../x")),
        ("deployment", VERCEL, Request("vercel", "POST", "/v1/projects/prj_1/rollback/..")),
        ("deployment", VERCEL, Request("vercel", "POST", "/v1/projects/prj_1/rollback/x?y=1")),
        ("deployment", VERCEL, Request("vercel", "POST", "/v1/projects/prj_1/rollback/x\n")),
        ("deployment", VERCEL, Request("vercel", "DELETE", "/v9/projects/prj_1")),
        ("deployment", RAILWAY, HOOK),
        ("variable", VARIABLE, new_variable("OTHER")),
        ("variable", VARIABLE, Request("vercel", "PATCH", "/v9/projects/prj_1/env/x", {}, {"key": "OTHER"})),
        ("variable", DOPPLER, doppler_acts.create("p", "c", "OTHER")),
        ("variable", DOPPLER, doppler_acts.create("p", "other", "KEY")),
        ("past", BRANCH, begin("opslib-2")),
        ("past", BRANCH, begin("opslib-1", "other")),
        ("past", BRANCH, supabase_acts.restore_to(REF, 7)),
        ("past_in_place", IN_PLACE, supabase_acts.restore_to(REF, 8)),
        ("past_in_place", IN_PLACE, supabase_acts.restore_to("other", 7)),
        ("migration", FILE, replace(NOTED, role="postgres")),
        ("migration", FILE, replace(NOTED, script="")),
        ("migration", FILE, replace(NOTED, params={"version": "015"})),
        ("flag", FLAG, replace(set_flag("new"), script="drop table users", role="app")),
        ("archiving", OLD, GO),
        ("archiving", OLD, other(MOVE, table=["public", "users"])),
        ("archiving", OLD, other(MOVE, archive=OLD["table"])),
        ("archiving", OLD, other(MOVE, cutoff="2026-01-01T00:00:00+00:00")),
        ("archiving", OLD, other(MOVE, since="0001-01-01T00:00:00+00:00")),
        ("archiving", OLD, other(MOVE, time="created_at")),
        ("archiving", FAMILY, other(ALONG, child=["public", "users"])),
        ("archiving", FAMILY, other(ALONG, parent_key="other")),
        ("archiving", KEPT, other(GO, table=["public", "users"])),
        ("archiving", KEPT, replace(GO, script="drop table users", role="app")),
        ("credit", CREDITS, other(ENTRY, owner="u2")),
        ("credit", CREDITS, other(ENTRY, entry="again")),
        ("credit", CREDITS, other(ENTRY, ledger=["public", "users"])),
        ("credit", CREDITS, other(ENTRY, amount="other")),
        ("credit", CREDITS, other(ENTRY, changed="other")),
        ("credit", CREDITS, other(ENTRY, delta=6)),
        ("credit", CREDITS, other(ENTRY, on_balance=6)),
        ("credit", CREDITS, other(ENTRY, delta=6, on_balance=6)),
        ("credit", CREDITS, other(ENTRY, on_balance=0)),
        ("credit", CREDITS, other(ENTRY, seen_balance=2)),
        ("credit", CREDITS, other(ENTRY, seen_ledger=1)),
        ("credit", CREDITS, other(ENTRY, note="a present")),
        ("credit", {**CREDITS, "entry": "evt_1"}, other(ENTRY, entry="evt_1")),
        ("upkeep", INDEX, other(BUILD, index="another")),
        ("upkeep", INDEX, other(BUILD, table=["public", "users"])),
        ("upkeep", INDEX, Statement("drop_index", {"index": ["public", "users_pkey"]})),
        ("restore", RESTORED, Work("restore_backup", {**RESTORED, "target": "klutr"})),
        ("files", FILE_AT, RESTORE),
        ("files", FILE_AT, replace(BACK, name="empty_bucket")),
        *(("files", FILE_AT, replace(BACK, params={**BACK.params, name: "x"})) for name in FILE_AT),
        ("restore", RESTORED, BACK),
    ],
    ids=lambda part: part.text if isinstance(part, Request | Statement | Work) else "",
)  # fmt: skip
def test_an_act_that_its_kind_does_not_know_is_refused_also_as_a_way_back(
    office: Office, kind: str, identity: dict[str, Any], act: Act
) -> None:
    """With an approval or without; the words of the plan may say what they like."""
    made = plan(office, kind, identity, act)
    office.approve(made)
    with pytest.raises(Refused, match="is nothing that a change of the kind"):
        authority.allow(made, office.env(), office.changes, datetime.now(UTC))
    theirs, good = _GOOD[kind]
    one = replace(made.draft.targets[0], act=good, identity=theirs, undo=act)
    with pytest.raises(Refused, match="is nothing that a change of the kind"):
        bounds.check(replace(made, draft=replace(made.draft, targets=(one,))))


@pytest.mark.parametrize(
    "kind", ["deployment", "variable", "flag", "session", "past_in_place", "migration", "archiving", "credit"]
)
def test_a_plan_cannot_say_of_itself_that_it_is_harmless(office: Office, kind: str) -> None:
    """Its risk decides who must approve."""
    identity, act = _GOOD[kind]
    made = plan(office, kind, identity, act)
    lower = replace(made, draft=replace(made.draft, risk=Risk.LOW))
    with pytest.raises(Refused, match="says risk low"):
        bounds.check(lower)


def test_rows_that_others_hang_on_are_not_moved_without_them(office: Office) -> None:
    """The foreign key would delete what hangs on them."""
    with pytest.raises(Refused, match="is nothing that a change of the kind"):
        bounds.check(plan(office, "archiving", FAMILY, MOVE))


@pytest.mark.parametrize(
    "given, before, after",
    [
        ({"on_balance": 3}, {}, {"balance": 4}),
        ({"seen_balance": 0}, {}, {"balance": 5}),
        ({"seen_ledger": 0}, {}, {"ledger": 5}),
        ({}, {"written": True}, {}),
        ({}, {}, {"written": False}),
        ({"delta": True, "on_balance": 1}, {}, {"balance": 2, "ledger": 3}),
    ],
)
def test_an_entry_and_what_it_makes_of_an_account_agree(
    office: Office, given: dict[str, Any], before: dict[str, Any], after: dict[str, Any]
) -> None:
    """Who approves reads what was seen and what will be, and not the parameters."""
    made = plan(office, "credit", CREDITS, ENTRY)
    bounds.check(made)
    settled = replace(
        made.draft.targets[0], act=other(ENTRY, on_balance=0), after={**MENDED, "balance": ACCOUNT["balance"]}
    )
    bounds.check(replace(made, draft=replace(made.draft, targets=(settled,))))
    one = replace(
        made.draft.targets[0], act=other(ENTRY, **given), before={**ACCOUNT, **before},
        after={**MENDED, **after},
    )  # fmt: skip
    with pytest.raises(Refused, match="is nothing that a change of the kind"):
        bounds.check(replace(made, draft=replace(made.draft, targets=(one,))))
