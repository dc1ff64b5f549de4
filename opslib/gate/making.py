"""From a draft to a plan that is kept: who asked where, until when, and that it holds no secret."""

from __future__ import annotations

import getpass
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from opslib import config, ids, keys, masking
from opslib.archive.changes import Changes
from opslib.errors import ProcedureError
from opslib.gate import signing
from opslib.gate.plan import Draft, Plan


@dataclass(frozen=True)
class Asked:
    """What is known of the run that asks.

    Args:
        procedure: its id.
        notebook: SHA-256 over its code.
        parameters: its own parameters.
        env: where.
        run_id: the run.
    """

    procedure: str
    notebook: str
    parameters: Mapping[str, Any]
    env: config.Environment
    run_id: str


def make(draft: Draft, asked: Asked, now: datetime) -> Plan:
    """Return the plan of a draft; nothing is written."""
    rule = config.load_policy().rule(asked.env, draft.risk)
    return Plan(
        procedure=asked.procedure,
        notebook=asked.notebook,
        parameters=asked.parameters,
        system=asked.env.system.name,
        environment=asked.env.name,
        production=asked.env.production,
        draft=draft,
        created_at=ids.stamp(now),
        expires_at=ids.stamp(now + timedelta(minutes=rule.expires_minutes)),
        planned_by=me(),
        run_id=asked.run_id,
    )


def keep(plan: Plan, changes: Changes) -> None:
    """Put a plan into the archive, signed by who asked for it where they have a key.

    Raises:
        ProcedureError: it holds a secret's value; nothing is written then.
        ArchiveError: the archive cannot be written to.
    """
    masker = masking.Masker(masking.registered())
    if masker.mask_json(plan.document) != plan.document:
        raise ProcedureError(f"the plan would hold the value of {', '.join(masker.counts)}; nothing was kept")
    Plan.from_document(plan.document)  # what cannot be read back must not be approved
    changes.keep(plan.document)
    if signer := keys.own():
        changes.keep_request(plan.digest, signing.sign(signing.REQUEST, plan.digest, signer))


def me() -> dict[str, str]:
    """Return user, host and public key of who runs this process."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"
    signer = keys.own()
    return {"user": user, "host": platform.node() or "localhost", "key": signer.public if signer else ""}
