"""The page that checks an export in a browser: one file, opened from the disk, without a network."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import fields
from pathlib import Path
from string import Template

from opslib.evidence.alone import NO_WITNESS
from opslib.evidence.beside import NO_PEOPLE, REHEARSAL
from opslib.evidence.complete import KNOWN_FROM, NONE_KNOWN
from opslib.evidence.events import KINDS
from opslib.evidence.expected import SLOTS_INSIDE
from opslib.evidence.exported import BY_THE_TEAM, CONSISTENCY, WHEN_CHOSEN
from opslib.evidence.findings import Scope
from opslib.evidence.layout import MANIFEST, SLOTS
from opslib.evidence.manifest import EXPORT_TYPE
from opslib.evidence.parts import CHECKLIST, ROUTINE
from opslib.evidence.population import DECIDED, Entry, Row
from opslib.evidence.records import KINDS_OF_FILES
from opslib.evidence.rotations import ROTATED
from opslib.evidence.verifier import KEYS_INSIDE, PEOPLE_INSIDE, PEOPLE_KEYS
from opslib.evidence.verifying import NO_EARLIER, NO_SCHEDULE, NOT_READ

_ORDER = "order and times of events, and proofs beside records, were not looked at: verify_evidence.py does"
_AFTER = "the last leaves came after what witnesses saw, and can still be cut off or rewritten unseen"


def page() -> bytes:
    """Return `index.html`."""
    script = "\n".join(map(_part, ("export.js", "export-beside.js", "export-check.js")))
    style = _part("export.css")
    parts = {
        "style": style,
        "style_hash": _hash(style),
        "script": script,
        "script_hash": _hash(script),
        "words": json.dumps(_words()).replace("<", "\\u003c"),
    }
    return Template(_part("export.html")).substitute(parts).encode()


def _words() -> dict[str, object]:
    """Return what the page has in common with the verifier in Python."""
    return {
        "manifest": MANIFEST,
        "consistency": CONSISTENCY,
        "exportType": EXPORT_TYPE,
        "events": {
            name: sorted(["type", *(part.name for part in fields(kind))]) for name, kind in KINDS.items()
        },
        "columns": [field.name for field in fields(Row)],
        "leafColumns": [field.name for field in fields(Entry)],
        "kinds": {name: str(kind) for name, kind in KINDS_OF_FILES.items()},
        "longestRun": Scope().longest.total_seconds() * 1000,
        "byTheTeam": BY_THE_TEAM,
        "whenChosen": WHEN_CHOSEN,
        "noEarlier": NO_EARLIER,
        "slots": SLOTS,
        "decided": DECIDED,
        "slotsInside": SLOTS_INSIDE,
        "noneKnown": NONE_KNOWN,
        "knownFrom": KNOWN_FROM,
        "noSchedule": NO_SCHEDULE,
        "rotated": ROTATED,
        "tolerance": Scope().tolerance.total_seconds() * 1000,
        "keysInside": KEYS_INSIDE,
        "people": PEOPLE_KEYS,
        "peopleInside": PEOPLE_INSIDE,
        "noPeople": NO_PEOPLE,
        "rehearsal": REHEARSAL,
        "routine": ROUTINE,
        "checklist": CHECKLIST,
        "noWitness": NO_WITNESS,
        "notRead": NOT_READ,
        "orderAndTimes": _ORDER,
        "afterWitness": _AFTER,
    }


def _part(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8").strip()


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
