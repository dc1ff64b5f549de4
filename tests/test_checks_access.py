"""Roles and grants: who may do too much, what is open to everybody, what has changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from opslib import config, frames
from opslib.checks import access
from opslib.sandbox import control
from opslib.verdict import Finding, Status
from tests.answers import REFUSED, administrator, answer, causes, monitor, statuses, unanswered

SYSTEM = "klutr"
THEN = datetime(2026, 11, 1, 12, tzinfo=UTC)
ROLE: dict[str, Any] = {
    "role": "web", "login": True, "superuser": False, "builtin": False, "owns_database": False, "powers": [],
    "member_of": [], "granted": [], "expired": False, "sessions": 0, "owned": 0, "settings": [],
}  # fmt: skip


def role(**changed: Any) -> pd.DataFrame:
    """Return the answer for one role that differs from a plain one in some columns."""
    return answer("role_powers", ROLE | changed)


def history(text: str, status: str = "ok") -> pd.DataFrame:
    """Return one earlier record."""
    return pd.DataFrame(
        [(pd.Timestamp(THEN), status, 1.0, text)], columns=["finished_at", "status", "observed", "text"]
    )


def judged() -> list[Finding]:
    """Return every finding about a real database."""
    with monitor(SYSTEM) as asked:
        roles = asked.table("role_powers")
        frames_ = (
            asked.table("grants", skip_schemas=[]),
            asked.table("schema_creators", skip_schemas=[]),
            asked.table("default_privileges"),
        )
        return [*access.powers(roles, []), *access.stale(roles), *access.to_everybody(*frames_)]


def test_a_tidy_server_is_found_tidy_and_a_wide_role_is_named(sandbox: object) -> None:
    """With the powers that it has by its attributes and by its memberships."""
    assert statuses(judged()) == {Status.OK}
    control.break_("role-too-wide", SYSTEM)
    (found,) = [f for f in judged() if f.status is not Status.OK]
    assert (found.subject, found.observed) == ("reporting_tool", "createrole, pg_write_all_data")
    assert causes([found]) == {"role-too-wide"}


def test_who_can_become_a_wide_role_is_as_wide(sandbox: object) -> None:
    """An attribute is not inherited, but whoever is a member takes the role on, also through another."""
    with administrator(SYSTEM) as admin:
        owner = admin.execute("select current_user").fetchone()
        assert owner is not None
        admin.execute("create role wide_group bypassrls createrole")
        admin.execute("create role wide_between in role wide_group")
        admin.execute("create role wide_login login in role wide_between")
        admin.execute(f"create role wide_boss login in role {owner[0]}".encode())
        try:
            with monitor(SYSTEM) as asked:
                roles = asked.table("role_powers")
        finally:
            admin.execute("drop role wide_boss, wide_login, wide_between, wide_group")
    found = {f.subject: f for f in access.powers(roles, ["wide_group", "wide_between"])}
    assert found["wide_login"].observed == "bypassrls, createrole"
    assert found["wide_boss"].status is Status.CRITICAL and "superuser" in found["wide_boss"].observed
    assert {"wide_login", "wide_boss"} <= {f.subject for f in access.bypassing(roles, [])}


def test_what_is_open_to_everybody_is_named_with_the_way_to_close_it(sandbox: object) -> None:
    """Tables, the making of objects, and what the next table will be open to."""
    with administrator(SYSTEM) as admin:
        admin.execute("grant select on users to public")
        admin.execute("grant create on schema public to public")
        admin.execute("alter default privileges for role app_klutr grant insert on tables to public")
        try:
            found = [f for f in judged() if f.status is not Status.OK]
        finally:
            admin.execute("revoke select on users from public")
            admin.execute("revoke create on schema public from public")
            admin.execute("alter default privileges for role app_klutr revoke insert on tables from public")
    assert [f.check for f in found] == ["public grants", "public create", "public defaults"]
    assert "revoke all on public.users from public" in found[0].why


@pytest.mark.parametrize(
    "changed, status",
    [
        ({}, Status.OK),
        ({"powers": ["superuser"]}, Status.CRITICAL),
        ({"powers": ["superuser"], "builtin": True}, Status.OK),
        ({"powers": ["superuser"], "owns_database": True}, Status.CRITICAL),
        ({"powers": ["createrole"], "owns_database": True}, Status.OK),
        ({"powers": ["bypassrls"], "login": False}, Status.WARNING),
        ({"powers": ["bypassrls"], "role": "service_role"}, Status.OK),
        ({"powers": ["pg_signal_backend"], "role": "opslib_operator"}, Status.OK),
        ({"powers": ["superuser"], "role": "opslib_imitated"}, Status.CRITICAL),
        ({"powers": ["createdb"], "role": "etl"}, Status.OK),
    ],
)
def test_a_role_is_judged_by_what_it_may_do_and_whose_it_is(changed: dict[str, Any], status: Status) -> None:
    """A name that only begins like ours is not ours."""
    assert statuses(access.powers(role(**changed), ["etl"])) == {status}


def test_only_what_goes_around_row_security_counts_there() -> None:
    """A role that may make databases sees nobody's rows."""
    assert statuses(access.bypassing(role(powers=["createdb"]), [])) == {Status.OK}
    assert statuses(access.bypassing(role(powers=["bypassrls"]), [])) == {Status.WARNING}


def test_a_login_that_has_run_out_is_stale() -> None:
    """Nobody misses it, and nobody has dropped it."""
    (found,) = access.stale(role(expired=True, expires=THEN))
    assert (found.status, found.observed) == (Status.WARNING, "ran out on 2026-11-01")


def test_a_change_since_the_last_record_is_named_once() -> None:
    """New and gone; the list itself stays ok, so that the next record compares with it."""
    now = access.logins(answer("role_powers", ROLE, ROLE | {"role": "etl"}))
    assert now.observed == "2: etl, web"
    listed, changed = access.compared(now, history("2: intern, web"))
    assert listed.status is Status.OK
    assert (changed.status, changed.observed) == (Status.WARNING, "new: etl; gone: intern")
    assert access.compared(now, history("2: etl, web"))[1].status is Status.OK


@pytest.mark.parametrize(
    "earlier",
    [
        history("", "unknown"),
        history("")[:0],
        frames.unavailable(["status", "text"], "the archive is locked"),
    ],
)
def test_without_an_earlier_list_the_comparison_is_skipped(earlier: pd.DataFrame) -> None:
    """A record that could not look is none to compare with."""
    assert access.compared(access.logins(role()), earlier)[1].status is Status.SKIPPED


def test_a_grant_that_moves_to_another_table_is_a_change() -> None:
    """Though the counts stay the same."""
    grant = {"schema": "public", "relation": "a", "grantee": "web", "privileges": ["select"]}
    before = access.granted(answer("grants", grant))
    now = access.granted(answer("grants", grant | {"relation": "b"}))
    assert access.compared(now, history(before.observed))[1].status is Status.WARNING


@pytest.mark.parametrize(
    "judge",
    [
        lambda: access.powers(unanswered("role_powers"), []),
        lambda: access.stale(unanswered("role_powers")),
        lambda: access.to_everybody(*map(unanswered, ("grants", "schema_creators", "default_privileges"))),
        lambda: access.compared(access.logins(unanswered("role_powers")), history("1: web")),
        lambda: access.compared(access.memberships(unanswered("role_powers")), history("1: web")),
        lambda: access.compared(access.granted(unanswered("grants")), history("1: web")),
    ],
)
def test_what_could_not_be_asked_is_unknown_with_the_reason(judge: Callable[[], list[Finding]]) -> None:
    """A shut door is no clean bill."""
    found = judge()
    assert statuses(found) == {Status.UNKNOWN}
    assert {finding.why for finding in found} == {REFUSED}


def test_a_server_without_roles_is_no_server() -> None:
    """An empty answer is not a clean one."""
    assert statuses(access.powers(answer("role_powers"), [])) == {Status.UNKNOWN}


def test_members_of_vendor_projects_are_left_to_their_consoles() -> None:
    """Said, and not passed over."""
    found = access.members(config.load_system(SYSTEM).environment("production"))
    assert found.status is Status.SKIPPED and "Vercel" in found.why
