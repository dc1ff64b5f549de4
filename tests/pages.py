"""A run as the page meets it: a notebook, its statement, and the runs before it."""

from __future__ import annotations

import base64
from typing import Any

Json = dict[str, Any]

PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
        "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
    )
).decode()


def finding(check: str, status: str, **told: str) -> Json:
    """Return one finding as the JSON contract has it."""
    columns = ("subject", "observed", "limit", "expected", "why", "next")
    return {"check": check, "status": status, "key": check, **{name: told.get(name, "") for name in columns}}


FINDINGS = [
    finding("application name is set", "ok", observed="12 of 12"),
    finding("idle sessions", "warning", subject="klutr-api", observed="41 sessions", limit="20 sessions",
            why="sessions that were not returned keep their slot"),
    finding("connection slots", "critical", subject="direct", observed="96 % of 97", limit="90 %",
            why="new connections are about to be refused", next="pool-saturation"),
    finding("waiting for locks", "ok", observed="0 sessions"),
    finding("longest query", "ok", observed="0.4 s"),
    finding("status page", "unknown", subject="supabase", why="no answer within 5 seconds"),
    finding("idle in transaction", "ok", observed="0 sessions"),
    finding("reserved slots", "ok", observed="3 free"),
    finding("replica lag", "skipped", why="this system has no replica"),
]  # fmt: skip

CAUSE = {
    "id": "connection-leak",
    "text": "klutr-api opens sessions and does not give them back; soon no slot is left for anybody else.",
}
NEXT = {
    "procedure": "pool-saturation",
    "parameters": {"system": "klutr", "environment": "production", "application": "klutr-api"},
    "why": "connection slots: new connections are about to be refused",
}
CALLS = [
    {"source": "pg:direct", "what": "connections_headroom", "rows": 1, "ms": 3.1, "ok": True, "error": ""},
    {
        "source": "http:supabase-status",
        "what": "GET /api/v2/summary.json",
        "rows": None,
        "ms": 5001.0,
        "ok": False,
        "error": "no answer within 5 s",
    },
]


def statement(**changed: Any) -> Json:
    """Return the statement of a run in trouble; keywords replace parts of its predicate."""
    predicate: Json = {
        "runDefinition": {
            "externalParameters": {
                "runbook": "database-connections",
                "system": "klutr",
                "environment": "production",
                "parameters": {"system": "klutr", "environment": "production", "samples": 5, "top": 10},
            },
            "internalParameters": {"trigger": "schedule", "scheduledFor": "2026-11-21T03:00:00.000Z"},
            "resolvedDependencies": [
                {
                    "name": "database-connections.ipynb",
                    "digest": {"sha256": "ab" * 32, "gitCommit": "6d7c7ecaa11bb22cc33dd44ee55ff66778899000"},
                    "annotations": {"changedSinceCommit": True},
                }
            ],
        },
        "runDetails": {
            "builder": {"id": "https://opslib.dev/runner/ops-1", "version": {"opslib": "0.1.0"}},
            "metadata": {
                "invocationId": "019aa4c1-7d3e-7c11-9b7e-2f6f3f1f0a55",
                "startedOn": "2026-11-21T03:00:02.118Z",
                "finishedOn": "2026-11-21T03:00:08.431Z",
                "durationSeconds": 6.313,
            },
        },
        "result": "FAILED",
        "verdict": "critical",
        "cause": CAUSE,
        "causes": [CAUSE],
        "findings": FINDINGS,
        "next": [NEXT],
        "error": None,
        "actor": {"user": {"name": "anna", "type": "User"}},
        "device": {"hostname": "ops-1"},
        "calls": CALLS,
        "redaction": {"engine": "values-v1", "masked": {"DATABASE_URL": 2}},
    }
    subjects = [
        {"name": "run.ipynb", "digest": {"sha256": "cd" * 32}, "mediaType": "application/x-ipynb+json"}
    ]
    return {"_type": "https://in-toto.io/Statement/v1", "subject": subjects, "predicate": predicate | changed}


def history(count: int = 30) -> list[Json]:
    """Return earlier runs, most of them ok, the last one critical."""
    verdicts = (
        ["ok"] * 9
        + ["warning", "ok", "ok", "unknown"]
        + ["ok"] * 13
        + ["warning", "warning", "critical", "critical"]
    )
    return [
        {"run_id": str(n), "verdict": verdict, "started_at": f"2026-11-{n % 28 + 1:02d}T03:00:00.000Z",
         "duration_s": 3.0 + n % 5 * 0.7}
        for n, verdict in enumerate(verdicts[-count:])
    ]  # fmt: skip


def markdown(source: str) -> Json:
    """Return a markdown cell."""
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def code(source: str, *outputs: Json, **metadata: Any) -> Json:
    """Return a code cell that was run."""
    return {
        "cell_type": "code",
        "metadata": metadata,
        "source": source,
        "execution_count": 1,
        "outputs": list(outputs),
    }


def shown(**data: Any) -> Json:
    """Return a display_data output; `text_html` becomes `text/html` and so on."""
    named = {
        name.replace("_", "/", 1).replace("image/svg", "image/svg+xml"): value for name, value in data.items()
    }
    return {"output_type": "display_data", "metadata": {}, "data": named}


def stream(text: str, name: str = "stdout") -> Json:
    """Return a stream output."""
    return {"output_type": "stream", "name": name, "text": text}


def error(name: str, value: str, *traceback: str) -> Json:
    """Return an error output."""
    return {"output_type": "error", "ename": name, "evalue": value, "traceback": list(traceback)}


def notebook(*cells: Json, title: str = "The database runs out of connections") -> Json:
    """Return a notebook in nbformat 4."""
    metadata = {"opslib": {"id": "database-connections", "title": title}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": list(cells)}
