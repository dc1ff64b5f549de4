"""Row security: what is guarded, what lets everybody through, what a stranger really sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd
import psycopg
import pytest

from opslib import config
from opslib.checks import access, rls, rls_buckets, rls_policies, rls_probe
from opslib.config.parts import Table
from opslib.errors import Forbidden
from opslib.pg import Database
from opslib.sandbox import control
from opslib.verdict import Finding, Status
from tests.answers import REFUSED, administrator, answer, causes, monitor, statuses, stranger, unanswered

SYSTEM = "kulti"
ROLES = ["anon", "authenticated"]
SKIP = list(rls.PLATFORM_SCHEMAS)
POLICIES_SKIP = list(rls_policies.SKIPPED_SCHEMAS)
OPEN: dict[str, Any] = {
    "schema": "public", "relation": "users", "kind": "table", "owner": "app", "rls_enabled": False,
    "policies": 0, "invoker": False, "readers": ["anon"], "column_readers": [], "writers": [],
    "guarded": [],
}  # fmt: skip
POLICY: dict[str, Any] = {
    "schema": "public", "table_name": "users", "policy": "p", "permissive": True, "roles": ["authenticated"],
    "command": "select", "using_text": "true", "columns": ["user_id", "owner", "org"], "calls": [],
    "rls_enabled": True, "seen": True,
}  # fmt: skip


@pytest.fixture
def asked(sandbox: object) -> Iterator[Database]:
    """A rehearsed system's database, as the monitor meets it."""
    with monitor(SYSTEM) as opened:
        yield opened


def judged(asked: Database, pages: int = 500) -> list[Finding]:
    """Return every finding of the audit about a real database."""
    declared = config.load_system(SYSTEM).tables
    roles = asked.table("api_roles", roles=ROLES)
    relations = asked.table("api_relations", roles=ROLES, skip_schemas=SKIP)
    functions = asked.table("definer_functions", roles=ROLES, skip_schemas=SKIP)
    return [
        rls.api(roles, ROLES),
        *rls.tables(relations),
        *rls_policies.judged(asked.table("policies", skip_schemas=POLICIES_SKIP), declared),
        *rls.ways_around(relations, functions),
        *access.bypassing(asked.table("role_powers"), []),
        *rls.seen_by(rls_probe.look(asked, relations, roles, pages), declared, pages),
    ]


def policies(declared: Mapping[str, Table] | None = None, **changed: Any) -> list[Finding]:
    """Judge one policy that differs from the usual one in some columns."""
    return rls_policies.judged(answer("policies", POLICY | changed), declared or {})


def test_a_guarded_database_is_found_well(asked: Database) -> None:
    """Nothing but ok, and all of it was looked at."""
    assert statuses(judged(asked)) == {Status.OK}


def test_a_table_without_row_security_is_named_and_its_rows_are_seen_to_be_open(asked: Database) -> None:
    """The catalog says so, and the look as a stranger proves it."""
    control.break_("rls-off", SYSTEM)
    found = {f.check: f for f in judged(asked) if f.status is not Status.OK}
    assert set(found) == {"row security", "rows seen"}
    assert "enable row level security" in found["row security"].why
    assert found["rows seen"].subject == "public.users as authenticated"
    assert int(found["rows seen"].observed.split()[0]) > 100


def test_a_policy_that_lets_everybody_through_is_named_and_proven(asked: Database) -> None:
    """By its text, and by the rows that a stranger sees."""
    control.break_("rls-permissive", SYSTEM)
    found = [f for f in judged(asked) if f.status is not Status.OK]
    assert {f.check for f in found} == {"policies", "rows seen"}
    assert causes(found) == {"rls-permissive"}


def test_a_view_that_reads_with_its_owner_s_rights_is_named_with_what_it_reads(asked: Database) -> None:
    """Also through a second view, or to write alone; one that asks with the rights of who asks is none."""
    control.break_("rls-bypassed", SYSTEM)
    with administrator(SYSTEM) as admin:
        admin.execute("create view contacts_of_contacts as select * from contact_list")
        admin.execute("create view honest with (security_invoker = true) as select * from users")
        admin.execute("create view written as select * from users")
        admin.execute("grant select on contacts_of_contacts, honest to anon")
        admin.execute("grant insert, delete on written to anon")
        try:
            found = [f for f in judged(asked) if f.check == "ways around"]
        finally:
            admin.execute("drop view contacts_of_contacts, honest, written")
    views = {"public.contact_list", "public.contacts_of_contacts", "public.written"}
    assert {f.subject for f in found} == views
    assert ["anon write through it" in f.why for f in found if f.subject == "public.written"] == [True]
    assert all("public.users" in f.observed for f in found)


def test_a_function_with_its_owner_s_rights_needs_a_search_path_of_its_own(asked: Database) -> None:
    """Without one, its caller decides what it reads."""
    make = "create function {} returns bigint language sql security definer {} as 'select 1::bigint'"
    with administrator(SYSTEM) as admin:
        admin.execute(make.format("loose()", "").encode())
        admin.execute(make.format("tight()", "set search_path = ''").encode())
        admin.execute("revoke execute on function tight() from public")
        admin.execute("grant execute on function tight() to authenticated")
        try:
            found = [f for f in judged(asked) if f.check == "ways around"]
        finally:
            admin.execute("drop function loose(), tight()")
    assert [(f.subject, f.status) for f in found] == [("public.loose()", Status.WARNING)]


def test_a_function_that_hands_guarded_rows_to_visitors_is_named(asked: Database) -> None:
    """With a search_path of its own, too; but not one that policies ask, nor one that is meant to."""
    make = "create function {} security definer set search_path = '' language sql as '{}'"
    with administrator(SYSTEM) as admin:
        for signature, body in (
            ("everybody() returns setof public.users", "select * from public.users"),
            ("is_host(host uuid) returns boolean", "select host is null"),
            ("how_many() returns bigint", "select count(*) from public.users"),
        ):
            admin.execute(make.format(signature, body).encode())
        admin.execute("create policy asks on sessions for select using (is_host(host_id))")
        admin.execute("create role modest_owner; alter function how_many() owner to modest_owner")
        try:
            functions = asked.table("definer_functions", roles=ROLES, skip_schemas=SKIP)
        finally:
            admin.execute("drop policy asks on sessions")
            admin.execute("drop function everybody(), is_host(uuid), how_many()")
            admin.execute("drop role modest_owner")
    relations = answer("api_relations")
    (found,) = rls.ways_around(relations, functions)
    assert (found.status, found.subject) == (Status.WARNING, "public.everybody()")
    assert "revoke execute" in found.why
    assert statuses(rls.ways_around(relations, functions, ["public.everybody()"])) == {Status.OK}


def test_a_function_of_whom_the_tables_belong_to_goes_past_their_policies(asked: Database) -> None:
    """An owner needs no attribute for that, unless row security is forced."""
    make = (
        "create function mine() returns int security definer set search_path = '' language sql as 'select 1'"
    )
    with administrator(SYSTEM) as admin:
        admin.execute(make.encode())
        admin.execute("create role plain_owner; alter function mine() owner to plain_owner")
        admin.execute("create table diaries (id int); alter table diaries owner to plain_owner")
        admin.execute("alter table diaries enable row level security")
        try:
            bound = asked.table("definer_functions", roles=ROLES, skip_schemas=SKIP)["owner_bypasses"]
            admin.execute("alter table diaries force row level security")
            forced = asked.table("definer_functions", roles=ROLES, skip_schemas=SKIP)["owner_bypasses"]
        finally:
            admin.execute("drop table diaries; drop function mine(); drop role plain_owner")
    assert (list(bound), list(forced)) == ([True], [False])


def test_what_only_depends_on_an_extension_is_looked_at_and_what_belongs_to_one_is_not(
    asked: Database,
) -> None:
    """Views, functions and grants of the application stay its own."""
    with administrator(SYSTEM) as admin:
        admin.execute("create extension pg_trgm schema public")
        admin.execute("create materialized view copied as select * from users")
        admin.execute("create function called() returns int security definer language sql as 'select 1'")
        admin.execute("alter materialized view copied depends on extension pg_trgm")
        admin.execute("alter function called() depends on extension pg_trgm")
        admin.execute("alter function show_trgm(text) security definer")
        admin.execute("grant select on copied to anon")
        try:
            relations = asked.table("api_relations", roles=ROLES, skip_schemas=SKIP)
            functions = asked.table("definer_functions", roles=ROLES, skip_schemas=SKIP)
            grants = asked.table("grants", skip_schemas=SKIP)
        finally:
            admin.execute("drop extension pg_trgm cascade")
            admin.execute("drop materialized view if exists copied; drop function if exists called()")
    found = rls.ways_around(relations, functions)
    assert {f.subject for f in found} == {"public.copied", "public.called()"}
    assert "copied" in set(grants["relation"])


def test_a_role_that_may_not_act_as_a_stranger_leaves_it_unknown(sandbox: object) -> None:
    """What the catalog tells is judged all the same; what to grant is said."""
    with stranger(SYSTEM, "pg_monitor") as asked:
        found = judged(asked)
        unknown = [f for f in found if f.status is Status.UNKNOWN]
        assert {f.check for f in unknown} == {"rows seen"}
        assert "grant authenticated to opslib_monitor" in unknown[0].why
        assert statuses([f for f in found if f.check != "rows seen"]) == {Status.OK}
        with pytest.raises(Forbidden):
            asked.table_as("authenticated", {}, "rows_visible", table=["public", "users"], pages=1)


def test_policies_behind_a_lock_are_unknown_and_nobody_waits(asked: Database) -> None:
    """Writing a condition out would queue behind whoever has the table for himself."""
    with psycopg.connect(control.status()["databases"][SYSTEM]["admin"]) as holder:
        holder.execute("lock table users in access exclusive mode")
        found = rls_policies.judged(asked.table("policies", skip_schemas=POLICIES_SKIP), {})
        holder.rollback()
    hidden = [f for f in found if f.status is Status.UNKNOWN]
    assert len(hidden) == 1 and "public.users" in hidden[0].why


def test_rows_of_which_only_some_columns_are_open_are_counted_too(asked: Database) -> None:
    """As many of them as a look may read."""
    with administrator(SYSTEM) as admin:
        admin.execute(
            "create table diaries as select id, repeat('x', 900) as line from generate_series(1, 900) id"
        )
        admin.execute("alter table diaries enable row level security")
        admin.execute("create policy even on diaries for select using (id > 800)")
        admin.execute("grant select (id) on diaries to anon")
        try:
            relations = asked.table("api_relations", roles=["anon"], skip_schemas=SKIP)
            roles = asked.table("api_roles", roles=["anon"])
            looks = rls_probe.look(asked, relations, roles, 500)
            few = [
                asked.table_as("anon", {}, "rows_visible_columns", table=["public", "diaries"], pages=pages)
                for pages in (1, 0)
            ]
        finally:
            admin.execute("drop table diaries")
    (seen,) = looks[looks["table_name"] == "diaries"].to_dict("records")
    assert (seen["rows"], seen["reason"]) == (100, "")
    assert [frame["rows"].iloc[0] < 100 for frame in few] == [True, True]
    (found,) = rls.seen_by(looks[looks["table_name"] == "diaries"], {}, 500)
    assert found.status is Status.CRITICAL


def test_a_look_as_a_stranger_leaves_nothing_behind(asked: Database) -> None:
    """The next question is asked as ourselves again, and nothing could have been written."""
    claims = {"role": "authenticated", "sub": rls_probe.STRANGER}
    asked.table_as("authenticated", claims, "rows_visible", table=["public", "users"], pages=1)
    assert asked.facts["role"] == "opslib_monitor"
    with administrator(SYSTEM) as admin:
        owner = admin.execute("select id from users limit 1").fetchone()
    assert owner is not None
    mine = {"role": "authenticated", "sub": str(owner[0])}
    seen = asked.table_as("authenticated", mine, "rows_visible", table=["public", "users"], pages=100_000)
    assert seen["rows"].iloc[0] == 1


def test_no_more_than_the_first_pages_are_read(asked: Database) -> None:
    """However large the table is."""
    plan = "explain (analyze, buffers off, costs off) select count(*) from users where ctid < '(1,0)'::tid"
    with administrator(SYSTEM) as admin:
        lines = " ".join(str(row[0]) for row in admin.execute(plan.encode()))
        whole = admin.execute("select count(*) from users").fetchone()
    assert "Tid Range Scan" in lines
    first = asked.table("rows_visible", table=["public", "users"], pages=1)["rows"].iloc[0]
    assert whole is not None and 0 < first < whole[0]


@pytest.mark.parametrize(
    "judge",
    [
        lambda: [rls.api(unanswered("api_roles"), ROLES)],
        lambda: rls.tables(unanswered("api_relations")),
        lambda: rls_policies.judged(unanswered("policies"), {}),
        lambda: [rls_buckets.judged(unanswered("public_buckets"))],
        lambda: rls.ways_around(unanswered("api_relations"), answer("definer_functions")),
        lambda: rls.ways_around(answer("api_relations"), unanswered("definer_functions")),
        lambda: access.bypassing(unanswered("role_powers"), []),
        lambda: rls.seen_by(
            rls_probe.look(Nobody(), unanswered("api_relations"), answer("api_roles"), 1), {}, 1
        ),
    ],
)
def test_what_could_not_be_asked_is_unknown_with_the_reason(judge: Callable[[], list[Finding]]) -> None:
    """A shut door is no clean bill."""
    found = judge()
    assert statuses(found) == {Status.UNKNOWN}
    assert {finding.why for finding in found} == {REFUSED}


class Nobody:
    """A database that lets nobody look."""

    def table_as(self, role: str, claims: Mapping[str, str], name: str, /, **params: Any) -> pd.DataFrame:
        """Return why there is no answer."""
        return unanswered(name)


def test_a_look_that_is_refused_is_unknown_beside_those_that_were_not() -> None:
    """One finding for each role, not one for each table."""
    role = {"role": "anon", "bypasses_rls": False, "may_become": True}
    rows = [OPEN, OPEN | {"relation": "notes"}]
    looks = rls_probe.look(Nobody(), answer("api_relations", *rows), answer("api_roles", role), 1)
    (found,) = rls.seen_by(looks, {}, 1)
    assert (found.status, found.subject) == (Status.UNKNOWN, "anon")
    assert "2 tables" in found.why and REFUSED in found.why


def test_without_a_web_api_it_is_skipped_and_policies_are_judged_all_the_same() -> None:
    """A database that only the application reaches."""
    assert rls.api(answer("api_roles"), ROLES).status is Status.SKIPPED
    unreached = OPEN | {"readers": [], "policies": 2}
    (found,) = rls.tables(answer("api_relations", unreached))
    assert (found.status, found.observed) == (Status.WARNING, "off, 2 policies without effect")
    assert rls.tables(answer("api_relations", OPEN | {"readers": []}))[0].status is Status.OK


@pytest.mark.parametrize(
    "changed, status",
    [
        ({}, Status.WARNING),
        ({"using_text": "((true))"}, Status.WARNING),
        ({"using_text": "(user_id = auth.uid())"}, Status.OK),
        ({"command": "update"}, Status.CRITICAL),
        ({"command": "insert", "using_text": None, "check_text": "true"}, Status.CRITICAL),
        ({"command": "update", "check_text": "(user_id = auth.uid())"}, Status.CRITICAL),
        ({"command": "update", "using_text": "(user_id = auth.uid())"}, Status.OK),
        ({"command": "delete"}, Status.CRITICAL),
        ({"command": "insert", "schema": "realtime", "check_text": "true"}, Status.WARNING),
        ({"command": "all", "check_text": "(user_id = auth.uid())"}, Status.CRITICAL),
        ({"command": "all", "using_text": "(user_id = auth.uid())"}, Status.OK),
        ({"roles": ["service_role"]}, Status.OK),
        ({"using_text": "((auth.jwt() -> 'user_metadata') ->> 'admin') = 'yes'"}, Status.WARNING),
        ({"seen": False, "using_text": None}, Status.UNKNOWN),
    ],
)
def test_a_policy_is_judged_by_what_it_lets_through(changed: dict[str, Any], status: Status) -> None:
    """Reading all is to be asked about, writing all is a fault."""
    assert statuses(policies(**changed)) == {status}


def test_a_table_that_all_may_read_is_not_one_whose_rows_all_may_delete() -> None:
    """Deleting follows the condition for old rows alone, whatever is asked of new ones."""
    declared = {"users": Table(what="people", shared_with=("authenticated",))}
    (found,) = policies(declared, command="all", check_text="(user_id = auth.uid())")
    assert (found.status, "may change and delete any row" in found.why) == (Status.CRITICAL, True)


def test_a_table_that_is_meant_for_all_is_named_in_the_system_s_file() -> None:
    """And only for those that are named there."""
    declared = {"users": Table(what="people", shared_with=("authenticated",))}
    assert statuses(policies(declared)) == {Status.OK}
    assert statuses(policies(declared, roles=["public"])) == {Status.WARNING}


@pytest.fixture
def storage(asked: Database) -> Iterator[psycopg.Connection]:
    """Files of a platform, as its database describes them, guarded as it guards them."""
    with administrator(SYSTEM) as admin:
        admin.execute("create schema storage")
        admin.execute("create table storage.buckets (id text primary key, name text, public boolean)")
        admin.execute("create table storage.objects (id int, bucket_id text, owner_id text)")
        admin.execute("alter table storage.buckets enable row level security")
        admin.execute("alter table storage.objects enable row level security")
        admin.execute("insert into storage.buckets values ('avatars', 'a', true), ('invoices', 'i', false)")
        admin.execute("create policy own on storage.objects for all using (owner_id = auth.uid()::text)")
        admin.execute("create policy faces on storage.objects for select using (bucket_id = 'avatars')")
        try:
            yield admin
        finally:
            admin.execute("drop schema storage cascade")


def test_policies_on_the_files_of_the_platform_are_judged_like_others(
    asked: Database, storage: psycopg.Connection
) -> None:
    """Its tables are the platform's, its policies the application's; `objects` is no table of the app."""
    declared = {"objects": Table(what="things", shared_with=("anon", "authenticated"))}

    def judged_now() -> set[Status]:
        answered = asked.table("policies", skip_schemas=POLICIES_SKIP)
        return statuses(rls_policies.judged(answered, declared))

    assert judged_now() == {Status.OK}
    storage.execute("create policy anyone on storage.objects for select using (true)")
    assert judged_now() == {Status.WARNING}
    storage.execute("create policy theirs on storage.objects for all to anon using (true)")
    assert Status.CRITICAL in judged_now()


def test_public_buckets_are_listed_where_our_role_sees_all_and_else_unknown(
    asked: Database, storage: psycopg.Connection
) -> None:
    """An empty answer behind row security is no clean one."""
    storage.execute("grant usage on schema storage to pg_monitor")
    storage.execute("grant select on storage.buckets to pg_monitor")
    found = rls_buckets.judged(rls_buckets.look(asked))
    assert (found.status, found.observed) == (Status.OK, "1: avatars")
    with stranger(SYSTEM, "pg_monitor") as bound:
        assert rls_buckets.judged(rls_buckets.look(bound)).status is Status.UNKNOWN


def test_without_such_storage_its_buckets_are_skipped(asked: Database) -> None:
    """Most databases have none."""
    assert rls_buckets.judged(rls_buckets.look(asked)).status is Status.SKIPPED


@pytest.mark.parametrize(
    "row, other",
    [
        ({}, {"roles": ["anon"]}),
        ({"roles": ["public"]}, {"roles": ["authenticated"]}),
        ({"command": "all"}, {"command": "select"}),
        ({"command": "all"}, {"command": "all", "check_text": "true"}),
        ({}, {"table_name": "sessions"}),
        ({}, {"using_text": "true"}),
        ({"command": "insert", "check_text": "true"}, {"command": "all", "using_text": "(1 = 1)"}),
    ],
)
def test_a_narrower_restrictive_policy_does_not_silence_a_permissive_one(
    row: dict[str, Any], other: dict[str, Any]
) -> None:
    """For fewer people, fewer commands, another table, or under no condition at all it holds nobody back."""
    own = "(user_id = auth.uid())"
    narrow = POLICY | {"policy": "narrow", "permissive": False, "using_text": own} | other
    found = rls_policies.judged(answer("policies", POLICY | row, narrow), {})
    assert [(one.subject, one.cause) for one in found] == [("public.users.p", rls.PERMISSIVE)]
    whole = narrow | {"roles": ["public"], "command": "all", "table_name": "users", "check_text": None}
    again = rls_policies.judged(answer("policies", POLICY | row, whole | {"using_text": own}), {})
    assert causes(again) == set()


def test_a_restrictive_policy_beside_it_narrows_what_is_always_true() -> None:
    """Both must let through."""
    narrow = POLICY | {"policy": "q", "permissive": False, "using_text": "(org = auth.org_id())"}
    assert statuses(rls_policies.judged(answer("policies", POLICY, narrow), {})) == {Status.OK}


MINE = "(select auth.uid()) = user_id"
SIGNED_IN = "auth.role() = 'authenticated'"
CLAIM = "nullif(current_setting('request.jwt.claims', true), '')::jsonb"


@pytest.mark.parametrize(
    "rules, status",
    [
        ([f"for update using ({SIGNED_IN})"], Status.WARNING),
        (["for delete using (auth.uid() is not null)"], Status.WARNING),
        ([f"for delete using ({CLAIM} ->> 'sub' is not null)"], Status.WARNING),
        (["for insert with check (auth.role() in ('anon', 'authenticated'))"], Status.WARNING),
        ([f"for update using ({SIGNED_IN}) with check ({MINE})"], Status.WARNING),
        (["for update using ((select auth.uid()) is not null)"], Status.WARNING),
        (["for all using (true) with check (auth.uid() = user_id)"], Status.CRITICAL),
        (["for all using (true)", f"as restrictive for all using ({SIGNED_IN})"], Status.WARNING),
        (["for all using (auth.uid() = user_id)"], Status.OK),
        ([f"for update using ({MINE}) with check ({MINE})"], Status.OK),
        (["for insert with check ((select auth.uid()) = user_id)"], Status.OK),
        (["for all using (true)", f"as restrictive for all using ({MINE})"], Status.OK),
        ([f"for all using ({CLAIM} -> 'app_metadata' ->> 'role' = 'admin')"], Status.OK),
        ([f"for all using ((({CLAIM} ->> 'is_staff'))::boolean)"], Status.OK),
        (["for all using (exists (select from users u where u.id = auth.uid()))"], Status.OK),
        (["for all using (diaries_open())"], Status.OK),
        (["for delete using (diaries_open(diaries))"], Status.OK),
        (["for delete using (false)"], Status.OK),
        (["for select using (auth.uid() is not null)"], Status.OK),
    ],
)
def test_a_policy_is_judged_as_the_server_writes_it_out(
    asked: Database, rules: list[str], status: Status
) -> None:
    """Being signed in is no condition on rows; whose they are is, in each way that people write it."""
    body = "returns boolean language sql as 'select now() is null'"
    with administrator(SYSTEM) as admin:
        admin.execute("create table diaries (id int, user_id uuid, role text)")
        admin.execute(f"create function diaries_open() {body}".encode())
        admin.execute("create function auth.role() returns text language sql as 'select current_user::text'")
        admin.execute(f"create function diaries_open(diaries) {body}".encode())
        admin.execute("alter table diaries enable row level security")
        try:
            for number, rule in enumerate(rules):
                admin.execute(f"create policy p{number} on diaries {rule}".encode())
            found = rls_policies.judged(asked.table("policies", skip_schemas=POLICIES_SKIP), {})
        finally:
            admin.execute("drop table diaries cascade")
            admin.execute("drop function diaries_open(), auth.role()")
    assert statuses([f for f in found if "diaries" in f.subject] or found) == {status}


@pytest.mark.parametrize(
    "condition, calls, status",
    [
        ("(deleted_at IS NULL)", [], Status.WARNING),
        ("((region)::text = 'eu'::text)", ["region"], Status.WARNING),
        ("(user_id = ( SELECT auth.uid() AS uid))", ["uid"], Status.OK),
        ("(org = (current_setting('app.org'::text))::integer)", [], Status.OK),
        ("is_member(org)", ["is_member"], Status.OK),
        ("(owner = CURRENT_USER)", [], Status.OK),
    ],
)
def test_a_restrictive_policy_narrows_only_by_who_asks(
    condition: str, calls: list[str], status: Status
) -> None:
    """One that holds for everybody alike leaves every row that it leaves to everybody."""
    everyone = POLICY | {"command": "all", "roles": ["anon"]}
    beside = everyone | {"policy": "q", "permissive": False, "using_text": condition, "calls": calls}
    found = rls_policies.judged(answer("policies", everyone, beside), {})
    assert statuses(found) == {status}
    mixed = beside | {"using_text": "(deleted_at IS NULL)", "check_text": condition}
    assert statuses(rls_policies.judged(answer("policies", everyone, mixed), {})) == {Status.WARNING}


def test_what_a_visitor_sees_without_signing_in_is_critical() -> None:
    """Anybody on the internet sees it too."""
    row = ("public", "users", "anon", True, 7, "")
    looks = pd.DataFrame([row], columns=list(rls_probe.COLUMNS))
    assert statuses(rls.seen_by(looks, {}, 1)) == {Status.CRITICAL}
    shared = {"users": Table(what="people", shared_with=("anon",))}
    assert statuses(rls.seen_by(looks, shared, 1)) == {Status.OK}
