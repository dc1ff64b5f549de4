"""What a session is told: bounds that spare a sick server, and the same words whatever a role begins with."""

from __future__ import annotations

STATEMENT_TIMEOUT_S = 15
LOCK_TIMEOUT_S = 2
COMMAND_TIMEOUT_S = 3600
# What requests of an application find without naming a schema.
SEARCHED_BY_REQUESTS = "public, extensions"
# However the server or the role is set up, the same rows are written alike: checksums depend on it.
WRITTEN_ALIKE = {
    "search_path": "pg_catalog", "timezone": "UTC", "datestyle": "ISO, MDY", "intervalstyle": "postgres",
    "extra_float_digits": "1", "bytea_output": "hex", "xmloption": "content",
}  # fmt: skip
# Rows that a policy hides end the reading with an error; they are never left out without a word.
ALL_ROWS = {"row_security": "off"}
SETTINGS = {
    **WRITTEN_ALIKE,
    "statement_timeout": f"{STATEMENT_TIMEOUT_S}s",
    "lock_timeout": f"{LOCK_TIMEOUT_S}s",
    # A question takes one process of the server, never its helpers: they are few, and the app's as well.
    "max_parallel_workers_per_gather": "0",
}
# What a batch moves it keeps in memory: in as much as comes with a server, up to 17, half as much finds room.
FOR_ACT = {"work_mem": "16MB"}
# A batch holds the rows that it has, and whoever wants those waits as long as it waits for others.
FOR_BATCH = {"lock_timeout": "100ms"}
FOR_SESSION = {
    **SETTINGS,
    "default_transaction_read_only": "on",
    "idle_in_transaction_session_timeout": "30s",
}
FOR_TRANSACTION = {**SETTINGS, "transaction_read_only": "on"}
# For what others wrote, which is to do what it would do without us; None is what the role begins with.
AS_BY_THEMSELVES: dict[str, str | None] = {
    name: None
    for name in SETTINGS
    if name not in ("statement_timeout", "lock_timeout", "search_path", "timezone")
}
FOR_COMMAND: dict[str, str | None] = {
    **AS_BY_THEMSELVES,
    "default_transaction_read_only": "off",
    "statement_timeout": f"{COMMAND_TIMEOUT_S}s",
    "lock_timeout": "0",
}
# Cut off, it would leave an invalid index behind: the server ends it neither by itself nor for want of us.
UNBROKEN = {**FOR_COMMAND, "statement_timeout": "0", "client_connection_check_interval": "0"}
# Time limits of the server's own, by the version that they came with: ours are told with each statement.
_OTHER_LIMITS = {"idle_session_timeout": 14, "transaction_timeout": 17}


def for_session(major: int) -> dict[str, str]:
    """Return what a session through a direct door is told at its beginning."""
    return {**FOR_SESSION, **{name: "0" for name, since in _OTHER_LIMITS.items() if major >= since}}
