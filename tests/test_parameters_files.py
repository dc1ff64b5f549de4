"""The five systems' files: complete, true to their runbooks, and safe as they are shipped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opslib import catalog, config
from opslib.config import System
from opslib.config.limits import DEFAULTS_FILE, OWN_SOURCE, defaults

ROOT = Path(__file__).parents[1]
SYSTEMS = ("klutr", "kulti", "voiceaitraining", "your-app", "your-backend")
# Every procedure that the five runbooks ask for, whether or not its notebook is there already.
_NAMES = """
health-check vendor-status key-metrics alert-rules access-readiness debug-logging logs
pre-deploy-check deploy deploy-verify rollback migrations env-vars webhook-config triage declare
contain investigate resolve postmortem on-call-handoff site-down high-error-rate
database-connections authentication ai-cost background-jobs slow-queries slow-pages video-rooms
credits recordings payment-webhooks memory voice-calls email-delivery user-debug database-health
index-usage vacuum-analyze reindex refresh-views archive-rows retention rls-audit access-audit
duplicates-and-integrity backup backup-check restore dr-drill point-in-time file-storage
secret-rotation secret-audit dependency-audit security-audit feature-flags usage-report cost-review
capacity-plan performance-review checklist runbook-review
"""
PROCEDURES = frozenset(_NAMES.split())

# (system, kind, name, what it must be): each figure that a runbook states and a procedure needs.
# A limit is (warning, critical, for_minutes), a fact its value.
FIGURES: list[tuple[str, str, str, Any]] = [
    ("klutr", "limit", "response_ms", (500, 1000, None)),
    ("klutr", "limit", "down_minutes", (None, 2, None)),
    ("klutr", "limit", "error_pct", (None, 5, 5)),
    ("klutr", "limit", "connections_pct", (80, None, None)),
    ("klutr", "limit", "ai_cost_usd_per_day", (50, 100, None)),
    ("klutr", "limit", "ai_error_pct", (10, None, None)),
    ("klutr", "limit", "index_hit_pct", (95, None, None)),
    ("klutr", "fact", "backup_every_hours", 24),
    ("klutr", "fact", "backup_keep_days", 7),
    ("your-app", "limit", "p95_ms", (2000, None, None)),
    ("your-app", "limit", "error_pct", (1, None, None)),
    ("your-app", "limit", "slow_query_ms", (1000, None, None)),
    ("your-app", "fact", "cache_seconds", 300),
    ("your-app", "fact", "rate_limit_per_minute", 60),
    ("your-app", "fact", "rate_limit_per_hour", 1000),
    ("your-app", "fact", "secret_key_bytes", 32),
    ("your-app", "fact", "cron_secret_bytes", 16),
    ("your-app", "fact", "audit_window_hours", 1),
    ("your-app", "fact", "backup_every_hours", 24),
    ("your-app", "fact", "rollout_pct", 25),
    ("your-app", "fact", "user_events_listed", 100),
    ("kulti", "limit", "errors_per_hour", (50, None, None)),
    ("kulti", "limit", "idle_minutes", (60, None, None)),
    ("kulti", "limit", "recording_stuck_minutes", (60, None, None)),
    ("kulti", "fact", "access_token_minutes", 60),
    ("kulti", "fact", "phone_format", r"^\+1[0-9]{10}$"),
    ("kulti", "fact", "balance_min", 0),
    ("kulti", "fact", "balance_max", 10000),
    ("kulti", "fact", "duplicate_window_days", 1),
    ("kulti", "fact", "active_users_days", 7),
    ("kulti", "fact", "transactions_window_hours", 1),
    ("kulti", "fact", "recordings_window_days", 1),
    ("kulti", "fact", "escalation_minutes", 30),
    ("voiceaitraining", "limit", "error_pct", (1, 5, None)),
    ("voiceaitraining", "limit", "p95_ms", (1000, 3000, None)),
    ("voiceaitraining", "limit", "connections_pct", (70, 90, None)),
    ("voiceaitraining", "limit", "active_connections", (100, None, None)),
    ("voiceaitraining", "limit", "disk_pct", (70, 85, None)),
    ("voiceaitraining", "limit", "voice_failure_pct", (5, 20, None)),
    ("voiceaitraining", "limit", "idle_minutes", (10, None, None)),
    ("voiceaitraining", "limit", "page_load_ms", (5000, None, None)),
    ("voiceaitraining", "fact", "plan_connections", ("Pro 60", "Team 120")),
    ("voiceaitraining", "fact", "vendor_alert_threshold", 0.05),
    ("voiceaitraining", "fact", "vendor_alert_minutes", 5),
    ("voiceaitraining", "fact", "p1_users_pct", 25),
    ("voiceaitraining", "fact", "acknowledge_minutes", 5),
    ("voiceaitraining", "fact", "escalate_minutes", 30),
    ("voiceaitraining", "fact", "update_minutes", 30),
    ("voiceaitraining", "fact", "tell_customers_minutes", 15),
    ("voiceaitraining", "fact", "watch_minutes", 15),
    ("voiceaitraining", "fact", "postmortem_hours", 24),
    ("voiceaitraining", "fact", "deployment_minutes", 3),
    ("voiceaitraining", "fact", "backup_keep_days", 7),
    ("voiceaitraining", "fact", "backup_every_hours", 24),
    ("voiceaitraining", "fact", "disk_free_pct", 10),
    ("voiceaitraining", "fact", "rotated_keys", ("Stripe", "Vapi", "OpenAI")),
    ("voiceaitraining", "limit", "cpu_pct", (None, 90, None)),
    ("your-backend", "limit", "p95_ms", (2000, None, None)),
    ("your-backend", "limit", "error_pct", (1, None, None)),
    ("your-backend", "limit", "webhook_failures", (1, None, None)),
]
# Minutes to respond, escalate and mend; the runbooks of klutr and your-app state no clocks.
CLOCKS = {
    "klutr": [(None, None, None)] * 4,
    "your-app": [(None, None, None)] * 4,
    "kulti": [(15, 0, 0), (60, 30, 240), (240, 120, 1440), (1440, 1440, None)],
    "voiceaitraining": [(0, 30, None), (30, 30, None), (240, None, None), (1440, None, None)],
    "your-backend": [(15, None, None), (60, None, None), (240, None, None), (None, None, None)],
}
# (id, what is measured, above, below or equal to what, for how many minutes, level).
ALERTS = {
    "klutr": [
        ("health-down", "health", "down", 2, "critical"),
        ("error-rate", "error_pct", 5, 5, "critical"),
        ("database-unreachable", "database", "down", 0, "critical"),
        ("ai-cost", "ai_cost_usd_per_day", 50, 0, "critical"),
        ("slow", "response_ms", 500, 10, "warning"),
        ("very-slow", "response_ms", 1000, 0, "critical"),
        ("connections", "connections_pct", 80, 0, "warning"),
        ("ai-errors", "ai_error_pct", 10, 0, "warning"),
        ("failed-jobs", "failed_jobs", 0, 0, "warning"),
    ],
    "your-app": [
        ("pool-exhausted", "pool", "exhausted", 0, "warning"),
        ("p95", "p95_ms", 2000, 0, "warning"),
        ("error-rate", "error_pct", 1, 0, "warning"),
        ("retention-cleanup", "retention_cleanup", "failed", 0, "warning"),
    ],
    "kulti": [
        ("errors", "errors_per_hour", 50, 0, "warning"),
        ("site-down", "health", "down", 0, "critical"),
        ("connections", "connections_pct", 80, 0, "warning"),
    ],
    "voiceaitraining": [
        ("error-rate-warning", "error_pct", 1, 0, "warning"),
        ("error-rate-critical", "error_pct", 5, 0, "critical"),
        ("p95-warning", "p95_ms", 1000, 0, "warning"),
        ("p95-critical", "p95_ms", 3000, 0, "critical"),
        ("connections-warning", "connections_pct", 70, 0, "warning"),
        ("connections-critical", "connections_pct", 90, 0, "critical"),
        ("disk-warning", "disk_pct", 70, 0, "warning"),
        ("disk-critical", "disk_pct", 85, 0, "critical"),
        ("voice-warning", "voice_failure_pct", 5, 0, "warning"),
        ("voice-critical", "voice_failure_pct", 20, 0, "critical"),
        ("vercel-error-rate", "error_pct", 5, 5, "critical"),
    ],
    "your-backend": [
        ("p95", "p95_ms", 2000, 0, "warning"),
        ("error-rate", "error_pct", 1, 0, "warning"),
        ("pool-exhausted", "pool", "exhausted", 0, "warning"),
        ("webhooks", "webhook_failures", 0, 0, "warning"),
    ],
}
# What else a runbook names: addresses (those that have moved, at their new place), vendors, tables,
# variables, people, channels, commands. Each stands somewhere in the system's file.
NAMED = {
    "klutr": """
https://klutr.app /api/health https://vercel.com/klutr/analytics https://rollbar.com/klutr
https://supabase.com/dashboard/project/[PROJECT_ID] https://us.posthog.com https://console.neon.tech
https://[PROJECT_REF].supabase.co/auth/v1/health /api/debug/flags /api/cron/nightly-cluster
klutr-global-disable klutr-backups backup-YYYYMMDD.sql.gz notes messages notes_embedding_idx
messages_embedding_idx vercel neon supabase openai posthog rollbar doppler github aws prisma
NEON_DATABASE_URL NEON_API_KEY NEXT_PUBLIC_SUPABASE_URL NEXT_PUBLIC_SUPABASE_ANON_KEY OPENAI_API_KEY
CRON_SECRET support@vercel.com support@supabase.com support@neon.tech support@openai.com
[Setup_PagerDuty/OpsGenie] 2025-11-11 2025-02-11 psql pg_dump pnpm
""",
    "your-app": """
https://your-app.vercel.app /api/health /api/monitoring/health /api/admin/feature-flags SECRET_KEY
SUPABASE_SERVICE_ROLE_KEY CRON_SECRET LOG_LEVEL ADMIN_TOKEN SUPABASE_PROJECT_REF vercel supabase sentry
security_audit feature_flags rollout_percentage kill_switch events sessions env:validate audit:secrets
*.env* *.key uvicorn 8000 RATE_LIMIT_PER_MINUTE RATE_LIMIT_PER_HOUR support@supabase.com [Add_contact]
[Add_retention_period] [Add_recovery_time_objective] [Add_recovery_point_objective] 2025-01-XX openssl
""",
    "kulti": """
https://kulti.app https://sentry.io/organizations/[org]/projects/kulti
https://vercel.com/[account]/[project]/analytics https://vercel.com/[project]/deployments
https://supabase.com/dashboard/project/[ref] https://dashboard.100ms.live https://docs.100ms.live
https://status.supabase.com https://www.vercel-status.com https://status.100ms.live
https://status.sentry.io https://vercel.com/dashboard https://vercel.com/support
https://supabase.com/dashboard/support https://api.100ms.live/v2/recordings/room/{room_id}/start
recording.% HMS_APP_ACCESS_KEY HMS_APP_SECRET vercel supabase hms sentry anthropic github users sessions
session_participants credits credit_transactions recordings webhook_logs hms_room_id hms_recording_id
recording_url ended_at [Your_Name] [Name] [Phone_Number] [Email] 24/7 support@100ms.live
support@sentry.io psql curl jq git lighthouse admin owner write 2025-01-16 1.0
""",
    "voiceaitraining": """
https://app.voiceaitraining.com https://status.voiceaitraining.com /api/health /api/version
/api/webhooks/clerk /api/webhooks/vapi https://vercel.com/voiceaitraining https://sentry.io/voiceaitraining
CLERK_SECRET_KEY NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY DATABASE_URL VAPI_API_KEY EMAIL_FROM org_id role
vercel supabase clerk vapi stripe openai resend sentry pagerduty slack github scenario_attempts
scenario_attempts_archive ended_at supabase_migrations.schema_migrations refresh_reporting_views
cto@voiceaitraining.com devops@voiceaitraining.com support@vercel.com support@supabase.com
support@vapi.ai #incidents #deploys #on-call Monday_morning first_Friday 2025-09-29 v0.1
backup_YYYYMMDD_HHMMSS.sql recordings pnpm
""",
    "your-backend": """
https://your-backend.com /health /billing/webhook /webhooks/code-repo checkout.session.completed
customer.subscription.updated customer.subscription.deleted STRIPE_WEBHOOK_SECRET
CODE_REPO_WEBHOOK_SECRET NEXT_PUBLIC_SUPABASE_URL NEXT_PUBLIC_SUPABASE_ANON_KEY
NEXT_PUBLIC_API_BASE_URL SUPABASE_URL SUPABASE_SERVICE_ROLE_KEY STRIPE_SECRET_KEY OPENAI_API_KEY
REDIS_URL SENTRY_DSN .env.example usage_metrics vercel railway supabase stripe sentry github AWS/GCP
verify-migrations 012_add_rls_core_tables.sql 2024-12-30 next_business_day next_release
""",
}
LOWER_IS_WORSE = {"index_hit_pct", "tls_days", "disk_weeks", "vendor_window_hours"}
HEADINGS = [
    line.split(": ", 1)
    for line in Path(__file__).with_name("runbook_headings.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
ROUTINES = {
    "klutr": {"daily": 3, "weekly": 5, "monthly": 6, "quarterly": 6},
    "your-app": {"daily": 3, "weekly": 3, "monthly": 3, "quarterly": 3},
    "kulti": {"daily": 6, "weekly": 6, "monthly": 6},
    "voiceaitraining": {"daily": 3, "weekly": 4, "monthly": 4, "quarterly": 5},
    "your-backend": {"daily": 3, "weekly": 3, "monthly": 3, "quarterly": 3},
}


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest) -> System:
    """Each system in turn."""
    return config.load_system(str(request.param), ROOT)


def test_there_are_the_five_systems() -> None:
    """Otherwise everything below would pass for less than it says."""
    assert config.list_systems(ROOT) == SYSTEMS


def test_every_figure_names_its_source(system: System) -> None:
    """A reader must be able to ask who said so."""
    assert all(limit.source != OWN_SOURCE for limit in system.limits.values())
    stated: list[Any] = [
        *system.facts.values(),
        *system.alerts,
        *system.severities.values(),
        *system.pools.values(),
    ]
    stated += [*system.health, *system.smoke, *system.contacts, *system.dashboards, *system.variables]
    assert all(item.source for item in stated)
    assert all(item.source for routine in system.routines.values() for item in routine.items)


def sources(value: Any) -> Iterator[str]:
    """Yield every `source` of a system's file that is not empty."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if key == "source":
            yield from filter(None, [inner])
        elif isinstance(inner, dict | list | tuple):
            yield from sources(inner)


def stands_in(path: list[str], heading: list[str]) -> bool:
    """Tell whether a path leads to a heading; headings between may be left out."""
    above = iter(heading)
    return path[-1] == heading[-1] and all(step in above for step in path)


def test_every_source_is_a_heading_of_the_runbook_or_ours(system: System) -> None:
    """A heading that is not there sends the reader nowhere."""
    headings = [line.split(" > ") for name, line in HEADINGS if name == system.name]
    for source in set(sources(system.model_dump())):
        if not source.startswith("opslib default"):
            for path in source.split("; "):
                assert any(stands_in(path.split(" > "), heading) for heading in headings), path


def test_what_a_runbook_names_stands_in_the_file(system: System) -> None:
    """Addresses, vendors, tables, variables, people, channels: none may get lost."""
    vendors = [system.environment("production").vendors[name].status_url for name in system.vendors]
    text = json.dumps([system.model_dump(mode="json"), vendors], ensure_ascii=False)
    missing = [word for word in NAMED[system.name].split() if word.replace("_", " ") not in text]
    assert not [word for word in missing if word not in text]


def test_alerts_are_those_of_the_runbook(system: System) -> None:
    """What, how much, for how long, how bad."""
    found = [
        (a.id, a.metric, a.equals if a.equals is not None else a.above, a.for_minutes, a.level)
        for a in system.alerts
    ]
    assert found == ALERTS[system.name]


def test_every_number_has_a_unit(system: System) -> None:
    """`5` of what?"""
    for name, fact in system.facts.items():
        assert fact.unit or isinstance(fact.value, bool) or not isinstance(fact.value, int | float), name
    for alert in system.alerts:
        assert alert.unit or alert.above is None, alert.id
    assert all(limit.unit for limit in system.limits.values())


def test_a_warning_comes_before_what_is_critical(system: System) -> None:
    """Otherwise nobody would ever be warned."""
    for name, limit in system.limits.items():
        if limit.warning is not None and limit.critical is not None:
            assert (limit.warning > limit.critical) is (name in LOWER_IS_WORSE), name


def test_only_addresses_that_the_runbook_names_are_asked(system: System) -> None:
    """A guessed page that is not there would be called critical in production."""
    env = system.environment("production")
    words = NAMED[system.name].split()
    assert all(endpoint.path in words or endpoint.url.rstrip("/") in words for endpoint in env.health)
    assert not env.smoke


def test_the_version_may_be_plain_text() -> None:
    """The runbook of voiceaitraining does not say in which form /api/version answers."""
    version = config.load_system("voiceaitraining", ROOT).environment("production").health[1]
    assert version.path == "/api/version" and not version.json


def test_variables_of_a_backend_are_not_sought_at_vercel() -> None:
    """They are set where the backend runs, which may be Railway."""
    system = config.load_system("your-backend", ROOT)
    assert all(name.startswith("NEXT_PUBLIC_") for name in system.required_at("vercel"))
    assert "SUPABASE_URL" in system.required_env and "REDIS_URL" not in system.required_env


@pytest.mark.parametrize(("name", "kind", "figure", "expected"), FIGURES)
def test_a_figure_is_the_runbooks(name: str, kind: str, figure: str, expected: Any) -> None:
    """A mistyped zero would page nobody, or everybody."""
    system = config.load_system(name, ROOT)
    if kind == "fact":
        assert system.fact(figure).value == expected
        return
    limit = system.limits[figure]
    assert (limit.warning, limit.critical, limit.for_minutes) == expected
    assert limit.source != "opslib default" and limit.unit


def test_the_pool_of_your_app_is_twenty_and_thirty() -> None:
    """What counts is their sum times the instances."""
    pool = config.load_system("your-app", ROOT).pools["application"]
    assert (pool.size, pool.overflow) == (20, 30)


def test_what_your_app_does_not_state_is_left_open() -> None:
    """A guess would look like a promise."""
    system = config.load_system("your-app", ROOT)
    found = dict(system.placeholders())
    assert all(f"facts.{name}.value" in found for name in ("retention_days", "rto_minutes", "rpo_minutes"))


def test_severities_have_the_clocks_that_the_runbook_states(system: System) -> None:
    """And none that it does not."""
    found = [(s.respond_minutes, s.escalate_minutes, s.fix_minutes) for s in system.severities.values()]
    assert list(system.severities) == ["P0", "P1", "P2", "P3"]
    assert found == CLOCKS[system.name]


def test_what_is_no_number_of_minutes_is_kept_in_words() -> None:
    """`next sprint`, `next business day`."""
    assert "next sprint" in config.load_system("kulti", ROOT).severities["P3"].fix
    assert config.load_system("your-backend", ROOT).severities["P3"].respond == "next business day"


def test_routines_are_those_of_the_runbook(system: System) -> None:
    """At least one item for each box of its lists; only kulti and klutr have a daily list of their own."""
    assert set(system.routines) == set(ROUTINES[system.name])
    for name, boxes in ROUTINES[system.name].items():
        assert len(system.routine(name).items) >= boxes
    own_daily = system.name in ("klutr", "kulti")
    assert system.routine("daily").source.startswith("opslib default") is not own_daily


def test_each_item_is_done_by_a_procedure_or_a_person(system: System) -> None:
    """Whether or not the procedure's notebook exists already."""
    for routine in system.routines.values():
        for item in routine.items:
            assert (item.procedure in PROCEDURES) is (item.by == "procedure"), item
            assert item.procedure is None or item.by == "procedure"


def test_every_notebook_is_a_procedure_that_items_may_name() -> None:
    """The list above must not fall behind the notebooks."""
    assert {procedure.id for procedure in catalog.load(ROOT / "notebooks").procedures} <= PROCEDURES


def test_production_is_described_and_never_the_default(system: System) -> None:
    """Addresses stand in the file, credentials do not."""
    production = system.environment("production")
    assert production.production and production.base_url and production.base_url.startswith("https://")
    assert production.doors[0].name == "direct" and production.doors[-1].pooled
    assert all(secret.reference.startswith("env:") for secret in production.secrets())
    assert system.environment_names[-1] == "sandbox"


def test_health_endpoints_expect_what_the_runbook_shows() -> None:
    """Status words differ by system: `healthy` here, `ok` there."""
    ends = {n: config.load_system(n, ROOT).environment("production").health for n in SYSTEMS}
    assert ends["klutr"][0].url == "https://klutr.app/api/health"
    assert ends["klutr"][0].expect == {
        "status": ["healthy"], "database": ["connected"], "supabase": ["connected"], "openai": ["configured"],
    }  # fmt: skip
    assert [e.pool for e in ends["your-app"]] == [None, "pool"]
    assert ends["voiceaitraining"][0].expect == {"status": ["ok"]}
    assert ends["voiceaitraining"][1].version_field == "version"
    assert (ends["kulti"][0].url, ends["kulti"][0].json) == ("https://kulti.app/", False)
    assert ends["your-backend"][0].expect["environment"] == ["production"]


def test_an_alert_on_a_limit_agrees_with_it(system: System) -> None:
    """The same figure stands in two places; they must not drift apart."""
    for alert in system.alerts:
        limit = system.limits.get(alert.metric)
        if limit is not None and alert.above:
            assert alert.above in (limit.warning, limit.critical), alert.id
            assert alert.unit == limit.unit


def test_the_migrations_of_your_backend_have_their_gap() -> None:
    """001-008 and 010-013: there is no 009, and 012 must not be missing."""
    migrations = config.load_system("your-backend", ROOT).migrations
    assert migrations is not None
    numbers = [int(name[:3]) for name in migrations.files]
    assert numbers == [*range(1, 9), *range(10, 14)]
    assert migrations.gaps == ("009",) and migrations.critical[0] in migrations.files


def test_moved_addresses_of_vendors_are_replaced() -> None:
    """The runbooks' old ones answer with HTML, or not at all."""
    texts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "parameters").rglob("*.yml"))
    data = "\n".join(line.split("#")[0] for line in texts.splitlines())
    old = r"status\.vercel\.com|status\.anthropic\.com|//api\.neon\.tech|app\.supabase\.com|app\.posthog\.com"
    assert not re.findall(old, data)
    assert defaults().vendors["neon"].api_url == "https://console.neon.tech/api/v2"


def test_every_vendor_with_a_status_page_says_how_it_is_read() -> None:
    """A page in an unknown form is unknown, never well."""
    for name, vendor in defaults().vendors.items():
        assert (vendor.status_format == "none") is (vendor.status_url is None), name


def test_every_limit_of_ours_says_what_it_measures() -> None:
    """And is marked as ours."""
    assert DEFAULTS_FILE.exists()
    for name, limit in defaults().limits.items():
        assert limit.what and limit.unit and limit.source == "opslib default", name


def test_contacts_that_were_never_filled_in_stay_visible() -> None:
    """access-readiness makes findings of them."""
    for name, role in (("klutr", "On-Call Engineer"), ("your-app", "Security Team"), ("kulti", "CTO")):
        contact = next(c for c in config.load_system(name, ROOT).contacts if c.role == role)
        assert re.fullmatch(r"\[.+\]", contact.name)


def test_the_schedule_runs_each_daily_routine_in_the_sandbox() -> None:
    """A new user's cron line must not touch production."""
    slots = config.load_schedule(ROOT)
    assert {slot.system for slot in slots if slot.routine == "daily"} == set(SYSTEMS)
    assert all(slot.environment == "sandbox" and slot.owner and slot.timezone for slot in slots)
