"""The parts of a system's file that describe it to people and procedures."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from opslib.config.fields import (
    Accepted,
    Codes,
    Number,
    Part,
    Reference,
    Scalar,
    StatusFormat,
    Text,
    Url,
    UrlPath,
)
from opslib.config.limits import Limit
from opslib.config.store import BackupBucket


class Endpoint(Part):
    """A path that is asked with GET, and the answer that is right.

    Args:
        name: short and stable.
        path: begins with /.
        status: HTTP codes that are right.
        expect: field of the JSON answer -> accepted values; `*` accepts anything but nothing.
        pool: dotted path of the block that describes the application's connection pool.
        version_field: field that holds the deployed version or commit.
        source: heading of the runbook.
    """

    name: Text
    path: UrlPath
    status: Codes = (200,)
    expect: dict[str, Accepted] = Field(default_factory=dict)
    pool: str | None = None
    version_field: str | None = None
    source: str = ""


class Database(Part):
    """The ways into a database, as references.

    Args:
        direct, session, pooler: for looking; the server itself, a session pooler, a transaction pooler.
        operator: for approved changes only; the server itself, or a session pooler.
        backup: for backups, as a role that may read every row; the server itself. `direct` when not given.
        targets: databases that a backup may be restored into, by name; never the one that is in use.
    """

    direct: Reference | None = None
    session: Reference | None = None
    pooler: Reference | None = None
    operator: Reference | None = None
    backup: Reference | None = None
    targets: dict[str, Reference] = Field(default_factory=dict)


class Vendor(Part):
    """A vendor as one system uses it; what is left out comes from opslib's own list.

    Args:
        uses: what it is used for.
        components: parts of its status page that matter; none named means all.
        settings: what its API must be told (project, organisation); not secret.
        token: reference to the credential for its API.
        secrets: further credentials by name.
        support: how to reach its support.
    """

    uses: str = ""
    components: tuple[Text, ...] = ()
    settings: dict[str, Scalar] = Field(default_factory=dict)
    token: Reference | None = None
    secrets: dict[str, Reference] = Field(default_factory=dict)
    support: str = ""
    title: str = ""
    api_url: Url | None = None
    status_url: Url | None = None
    status_format: StatusFormat | None = None


class EnvironmentFile(Part):
    """One environment as the file has it. It counts as production unless it says otherwise."""

    base_url: Url | None = None
    production: bool = Field(default=True, strict=True)
    database: Database = Database()
    vendors: dict[str, Vendor] = Field(default_factory=dict)
    limits: dict[str, Limit] = Field(default_factory=dict)
    backup_bucket: BackupBucket | None = None
    note: str = ""


class Variable(Part):
    """An environment variable that the system itself needs; only its name is ever known here."""

    name: Text
    where: str = ""
    optional: bool = Field(default=False, strict=True)
    source: str = ""


class Table(Part):
    """A table that the runbook queries, or that a procedure must know more of than the catalog tells.

    Args:
        what: what it holds.
        columns: what each column is for -> its name.
        shared_with: roles of the web API that are meant to see rows of others.
        business_key: columns whose values occur together in one row only, though no constraint says so.
        business_key_without: a column -> its values with which a row does not count for the key.
        age_column: the time from which the age of a row counts.
        archive_after_days: rows older than this belong into the archive.
        archive_table: where they go, and rows that hang on those of another table with them.
        keep_days: rows older than this are deleted.
        legal_hold: nothing may be deleted, whatever its age.
    """

    what: Text
    columns: dict[str, Text] = Field(default_factory=dict)
    shared_with: tuple[Text, ...] = ()
    business_key: tuple[Text, ...] = Field(default=(), max_length=3)
    business_key_without: dict[Text, tuple[Text, ...]] = Field(default_factory=dict, max_length=1)
    age_column: str = ""
    archive_after_days: Number | None = None
    archive_table: str = ""
    keep_days: Number | None = None
    legal_hold: bool = Field(default=False, strict=True)
    source: str = ""


class Pool(Part):
    """The application's own connection pool, per process."""

    size: Number
    overflow: Number = 0
    instances: Number | None = None
    source: Text


class Contact(Part):
    """Whom to call. A value in square brackets has not been filled in."""

    role: Text
    name: str = ""
    phone: str = ""
    email: str = ""
    url: str = ""
    status: str = ""
    docs: str = ""
    hours: str = ""
    escalation: str = ""
    source: str = ""


class Severity(Part):
    """What a severity means, and its clocks; a clock that the runbook does not state is left out."""

    title: Text
    means: tuple[Text, ...]
    respond_minutes: Number | None = None
    respond: str = ""
    escalate_minutes: Number | None = None
    fix_minutes: Number | None = None
    fix: str = ""
    notify: tuple[Text, ...] = ()
    source: Text


class Dashboard(Part):
    """A page to look at."""

    name: Text
    url: Text
    shows: tuple[Text, ...] = ()
    source: str = ""


class Alert(Part):
    """A rule that says when somebody is told.

    Args:
        metric: what is measured; the name of a limit where there is one.
        above, below, equals: the condition; exactly one, unless it is a plain event.
        for_minutes: how long the condition must hold.
    """

    id: Text
    metric: Text
    above: Number | None = None
    below: Number | None = None
    equals: str | None = None
    unit: str = ""
    for_minutes: Number = 0
    level: Literal["critical", "warning"]
    notify: tuple[Text, ...] = ()
    source: Text


class Migrations(Part):
    """Where migrations lie and which there must be."""

    folder: Text
    table: str = ""
    files: tuple[Text, ...] = ()
    gaps: tuple[Text, ...] = ()
    critical: tuple[Text, ...] = ()
    source: Text


class Webhook(Part):
    """An endpoint that a vendor calls."""

    vendor: Text
    path: UrlPath
    events: tuple[Text, ...] = ()
    secret_variable: str = ""
    unsigned: Codes = (400, 401)
    source: Text


class Job(Part):
    """A scheduled job of the application."""

    name: Text
    path: str = ""
    produces: tuple[Text, ...] = ()
    secret_variable: str = ""
    source: Text


class Flags(Part):
    """Where feature flags are kept and which of them is the kill switch."""

    store: Literal["posthog", "sql", "app"]
    kill_switch: str = ""
    table: str = ""
    endpoint: str = ""
    source: Text


class DrillApp(Part):
    """How an instance of the app is started against a database that a drill has restored.

    Args:
        command: run without a shell, in an empty folder and with no variables but those here; it listens on
            the port of 127.0.0.1 that the variable PORT names. It must never be given keys of production.
        variable: by which it learns the database's address.
        seconds: until it must listen.
    """

    command: Text
    variable: Text = "DATABASE_URL"
    seconds: Number = 60
    source: str = ""


class Fact(Part):
    """A figure of the runbook that is no limit."""

    value: Scalar | tuple[Scalar, ...]
    unit: str = ""
    note: str = ""
    source: Text


class Review(Part):
    """When the runbook was written, reviewed, and is due again."""

    updated: str = ""
    reviewed: str = ""
    next: str = ""
    version: str = ""


class Records(Part):
    """What may stand in what is kept of this system's runs.

    Args:
        personal_data: `masked`, or `kept` where nobody minds: e-mail addresses, phone numbers, IBANs, numbers
            of cards, public addresses of machines.
        suspected_secrets: what looks like a key or a password and is none that opslib knows: `masked`, or
            `withheld` with everything that the run has shown.
    """

    personal_data: Literal["masked", "kept"] = "masked"
    suspected_secrets: Literal["masked", "withheld"] = "masked"
