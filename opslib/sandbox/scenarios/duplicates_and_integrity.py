"""Ways in which rows stop being true although every statement succeeded."""

from __future__ import annotations

from opslib.sandbox.scenario import Scenario, World
from opslib.verdict import Status

# A table whose rows belong to users, its columns, and the table of users.
_BELONGING = {
    "klutr": ("stacks", "(user_id, name) select gen_random_uuid(), 'restored ' || n", "users"),
    "kulti": (
        "login_attempts",
        "(user_id, phone, succeeded) select gen_random_uuid(), '+12025550100', true",
        "users",
    ),
    "voiceaitraining": (
        "email_queue",
        "(user_id, template, status) select gen_random_uuid(), 'welcome', 'sent'",
        "users",
    ),
    "your-app": (
        "error_logs",
        "(user_id, level, endpoint, message) select gen_random_uuid(), 'error', '/api', 'late ' || n",
        "users",
    ),
    "your-backend": (
        "prompt_atoms",
        "(user_id, kind, body) select gen_random_uuid(), 'tone', 'restored ' || n",
        "user_profiles",
    ),
}  # fmt: skip
_ORPHANS = 4
_USED_UP = 0.95
_CHECKED, _ORDER = "price_list", "price_order"


def _lose_parents(world: World, system: str) -> None:
    """Load rows as a restore does, with foreign keys switched off; their users were not in the dump."""
    table, rows, _ = _BELONGING[system]
    with world.databases.admin(system) as admin:
        admin.execute("set session_replication_role = replica")
        admin.execute(f"insert into {table} {rows} from generate_series(1, {_ORPHANS}) n".encode())


def _remove_orphans(world: World, system: str) -> None:
    table, _, users = _BELONGING[system]
    with world.databases.admin(system) as admin:
        admin.execute(
            f"delete from {table} t where t.user_id is not null"
            f" and not exists (select from {users} u where u.id = t.user_id)".encode()
        )


def _use_up(world: World, system: str) -> None:
    """Let the numbers of a key run as far as they do after years, and put them back afterwards."""
    sequence = f"pg_get_serial_sequence('{_BELONGING[system][0]}', 'id')::regclass"
    with world.databases.admin(system) as admin:
        last = admin.execute(f"select pg_sequence_last_value({sequence})".encode()).fetchone()
        admin.execute(
            f"select setval({sequence}, (seqmax * {_USED_UP})::bigint)"
            f" from pg_sequence where seqrelid = {sequence}".encode()
        )

    def put_back() -> None:
        with world.databases.admin(system) as admin:
            admin.execute(
                f"select setval({sequence}, %s, %s)".encode(), (last[0] or 1, bool(last[0])) if last else ()
            )

    world.hold("sequence-near-end", system).callback(put_back)


def _charge_twice(world: World, system: str) -> None:
    """Book the charge for a session again, under another key, as a retry without memory does."""
    with world.databases.admin(system) as admin:
        admin.execute(
            "insert into credit_transactions (user_id, amount, type, reason, session_id, idempotency_key)"
            " select user_id, amount, type, reason, session_id, 'retried-' || id from credit_transactions"
            " where session_id is not null order by id limit 3"
        )


def _remove_charges(world: World, system: str) -> None:
    with world.databases.admin(system) as admin:
        admin.execute("delete from credit_transactions where starts_with(idempotency_key, 'retried-')")


def _reverse_order(world: World, system: str) -> None:
    """Build an index, then let its operator class sort the other way, as a new collation version does."""
    compares = (
        f"create or replace function {_ORDER}(a integer, b integer) returns integer language sql immutable as"
    )
    with world.databases.admin(system) as admin:
        admin.execute(f"{compares} 'select sign(a - b)::integer'".encode())
        admin.execute(
            f"create operator class {_ORDER} for type integer using btree as operator 1 <, operator 2 <=,"
            f" operator 3 =, operator 4 >=, operator 5 >, function 1 {_ORDER}(integer, integer)".encode()
        )
        admin.execute(f"create table {_CHECKED} as select n as price from generate_series(1, 50) n".encode())
        admin.execute(f"create index {_CHECKED}_idx on {_CHECKED} (price {_ORDER})".encode())
        admin.execute(f"{compares} 'select sign(b - a)::integer'".encode())


def _drop_checked(world: World, system: str) -> None:
    with world.databases.admin(system) as admin:
        admin.execute(f"drop table if exists {_CHECKED}".encode())
        admin.execute(f"drop operator family if exists {_ORDER} using btree cascade".encode())
        admin.execute(f"drop function if exists {_ORDER}".encode())


def _expects(status: Status, cause: str) -> dict[str, tuple[Status, str]]:
    return {"duplicates-and-integrity": (status, cause)}


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "orphan-rows",
        "rows were loaded with foreign keys switched off, and their users are missing",
        _lose_parents,
        _expects(Status.WARNING, "orphan-rows"),
        heal=_remove_orphans,
    ),
    Scenario(
        "sequence-near-end",
        "the numbers of a key are nearly used up",
        _use_up,
        _expects(Status.CRITICAL, "sequence-near-end"),
    ),
    Scenario(
        "duplicate-rows",
        "a retry charged for the same session again",
        _charge_twice,
        _expects(Status.WARNING, "duplicate-rows"),
        systems=("kulti",),
        heal=_remove_charges,
    ),
    Scenario(
        "index-damaged",
        "an index was built in another order than the server sorts by now",
        _reverse_order,
        _expects(Status.CRITICAL, "index-damaged"),
        heal=_drop_checked,
    ),
)
