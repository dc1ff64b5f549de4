"""The statement of a run: in-toto Statement v1 with SLSA provenance and test-result names.

Not signed yet. Verdicts use our own words; `result` says the same in the vocabulary that others
read: ok is PASSED, warning is WARNED, critical and unknown are FAILED.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://opslib.dev/runbook-run/v0.1"
BUILD_TYPE = "https://opslib.dev/papermill@v1"
MEDIA_TYPES = {"run.ipynb": "application/x-ipynb+json", "run.html": "text/html"}
RESULTS = {"ok": "PASSED", "warning": "WARNED", "critical": "FAILED", "unknown": "FAILED"}
_BY_STATUS = {
    "ok": "passed",
    "warning": "warned",
    "critical": "failed",
    "unknown": "unknown",
    "skipped": "skipped",
}

Document = dict[str, Any]


def predicate(document: Mapping[str, Any], origin: Mapping[str, Any], calls: list[Any]) -> Document:
    """Return what is stated of a run.

    Args:
        document: the document of the JSON contract.
        origin: what the runner knows: parameters, trigger, actor, scheduled_for, source (name,
            sha256, commit, dirty), versions, host, secrets (names), error, masked (as `Masker.summary`
            tells).
        calls: the questions that were put to sources.
    """
    return {
        "runDefinition": _definition(document, origin),
        "runDetails": _details(document, origin),
        "result": RESULTS[document["verdict"]],
        "verdict": document["verdict"],
        "cause": document["cause"],
        "causes": document["causes"],
        "checks": _checks(document),
        "findings": document["findings"],
        "next": document["next"],
        "plan": document["plan"],
        "no_plan": document.get("no_plan", ""),
        "changed": document["changed"],
        "error": origin.get("error"),
        "actor": {"user": {"name": origin["actor"], "type": origin["actor_type"]}},
        "device": {"hostname": origin["host"]},
        "calls": calls,
        "redaction": {"engine": "values-net-v2", **origin["masked"]},
    }


def statement(stated: Mapping[str, Any], files: Mapping[str, bytes]) -> Document:
    """Return the whole statement, whose subjects are the record's files."""
    subjects = [
        {"name": name, "digest": {"sha256": sha256(content)}, "mediaType": MEDIA_TYPES[name]}
        for name, content in files.items()
    ]
    return {
        "_type": STATEMENT_TYPE,
        "subject": subjects,
        "predicateType": PREDICATE_TYPE,
        "predicate": dict(stated),
    }


def document(stated: Mapping[str, Any], folder: Path) -> Document:
    """Return the document of the JSON contract, with what the index needs, from a statement.

    Args:
        stated: the whole statement, as read from `run.json`.
        folder: folder of the record.
    """
    told = stated["predicate"]
    external = told["runDefinition"]["externalParameters"]
    internal = told["runDefinition"]["internalParameters"]
    meta = told["runDetails"]["metadata"]
    same = ("verdict", "cause", "causes", "findings", "next", "plan", "changed")
    return {
        "run_id": meta["invocationId"],
        "procedure": external["runbook"],
        "system": external["system"],
        "environment": external["environment"],
        **{name: told[name] for name in same},
        "no_plan": told.get("no_plan", ""),
        "record": str(folder),
        "started_at": meta["startedOn"],
        "finished_at": meta["finishedOn"],
        "duration_s": meta["durationSeconds"],
        "parameters": external["parameters"],
        "trigger": internal["trigger"],
        "scheduled_for": internal["scheduledFor"],
        "actor": told["actor"]["user"]["name"],
        "code": _code(told["runDefinition"].get("resolvedDependencies") or [{}]),
    }


def encode(thing: Any) -> bytes:
    """Return canonical JSON: sorted keys, UTF-8, one line feed at the end."""
    return (json.dumps(thing, sort_keys=True, ensure_ascii=False, indent=1, default=str) + "\n").encode()


def quickly(thing: Any) -> bytes:
    """Return JSON in UTF-8 on one line, for what nobody is to read: five times as quick as `encode`."""
    return json.dumps(thing, ensure_ascii=False, default=str).encode()


def sha256(content: bytes) -> str:
    """Return the SHA-256 digest of content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _definition(document: Mapping[str, Any], origin: Mapping[str, Any]) -> Document:
    source = origin["source"]
    return {
        "buildType": BUILD_TYPE,
        "externalParameters": {
            "runbook": document["procedure"],
            "system": document["system"],
            "environment": document["environment"],
            "parameters": origin["parameters"],
        },
        "internalParameters": {
            "trigger": origin["trigger"],
            "scheduledFor": origin["scheduled_for"],
            "secrets": sorted(origin["secrets"]),
        },
        "resolvedDependencies": [
            {
                "name": source["name"],
                "digest": {"sha256": source["sha256"], "gitCommit": source["commit"]},
                "annotations": {"changedSinceCommit": source["dirty"]},
            }
        ],
    }


def _code(sources: list[Any]) -> Document:
    """Return which version of the notebook ran; what the statement does not say is None."""
    digest, noted = sources[0].get("digest") or {}, sources[0].get("annotations") or {}
    told = {"sha256": digest.get("sha256"), "commit": digest.get("gitCommit")}
    return {**told, "changed_since_commit": noted.get("changedSinceCommit")}


def _details(document: Mapping[str, Any], origin: Mapping[str, Any]) -> Document:
    return {
        "builder": {"id": f"https://opslib.dev/runner/{origin['host']}", "version": origin["versions"]},
        "metadata": {
            "invocationId": document["run_id"],
            "startedOn": document["started_at"],
            "finishedOn": document["finished_at"],
            "durationSeconds": document["duration_s"],
        },
    }


def _checks(document: Mapping[str, Any]) -> dict[str, list[str]]:
    checks: dict[str, list[str]] = {name: [] for name in _BY_STATUS.values()}
    for finding in document["findings"]:
        checks[_BY_STATUS[finding["status"]]].append(finding["key"])
    return checks
