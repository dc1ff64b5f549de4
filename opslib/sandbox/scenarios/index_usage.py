"""Ways in which indexes cost without giving, or are missing where they would give."""

from __future__ import annotations

from contextlib import closing

from opslib.sandbox.scenario import Act, Scenario, World
from opslib.sandbox.scenarios.database_connections import BUSY_TABLES
from opslib.sandbox.sessions import open_as_app
from opslib.verdict import Status

_TRAIL, _TRAIL_ROWS = "import_trail", 250_000
_TWIN = "lookup_twin_idx"
_BATCHES, _LINES, _LINES_ROWS = "import_batches", "import_lines", 30_000


def as_app(*statements: str) -> Act:
    """Return what runs statements as the system's app, which then owns what they make."""

    def act(world: World, system: str) -> None:
        table, key = BUSY_TABLES[system]
        with closing(open_as_app(world.databases, system, "migrate")) as app:
            for statement in statements:
                app.execute(statement.format(busy=table, key=key).encode())

    return act


_warning = {cause: {"index-usage": (Status.WARNING, cause)} for cause in
            ("unused-index", "duplicate-index", "fk-without-index")}  # fmt: skip

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "unused-index",
        "a large table has an index that no query reads",
        as_app(
            f"create table {_TRAIL} (note text)",
            f"insert into {_TRAIL} select md5(number::text) from generate_series(1, {_TRAIL_ROWS}) number",
            f"create index {_TRAIL}_note_idx on {_TRAIL} (note)",
            f"vacuum (analyze) {_TRAIL}",
        ),
        _warning["unused-index"],
        heal=as_app(f"drop table if exists {_TRAIL}"),
    ),
    Scenario(
        "duplicate-index",
        "somebody has built an index that there was already",
        as_app(f"create index {_TWIN} on {{busy}} ({{key}})"),
        _warning["duplicate-index"],
        heal=as_app(f"drop index if exists {_TWIN}"),
    ),
    Scenario(
        "fk-without-index",
        "a large table refers to another one, and has no index for it",
        as_app(
            f"create table {_BATCHES} (id int primary key)",
            f"insert into {_BATCHES} select generate_series(1, 50)",
            f"create table {_LINES} (batch_id int not null references {_BATCHES} (id))",
            f"insert into {_LINES} select 1 + number % 50 from generate_series(1, {_LINES_ROWS}) number",
            f"vacuum (analyze) {_LINES}",
        ),
        _warning["fk-without-index"],
        heal=as_app(f"drop table if exists {_LINES}", f"drop table if exists {_BATCHES}"),
    ),
)
