"""The signed list of what was handed over to an auditor, and what it is about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opslib.evidence.events import Subject
from opslib.evidence.plain import NotSound, moment, whole, written
from opslib.evidence.population import Extent

EXPORT_TYPE = "https://opslib.dev/evidence-export/v0.1"


@dataclass(frozen=True)
class Manifest:
    """What was handed over, as whoever did it has signed it.

    Args:
        extent: control, procedures, period.
        word: of the auditor, which went into the draw.
        count: how many runs were to be drawn; None for all.
        drawn: the runs whose records are whole here.
        counts: figures by which population and log reconcile.
        subjects: all files.
    """

    extent: Extent
    word: str
    count: int | None
    drawn: tuple[str, ...]
    counts: Mapping[str, int]
    subjects: tuple[Subject, ...]

    @classmethod
    def parse(cls, payload: bytes) -> Manifest:
        """Return the manifest that is the payload of an envelope.

        Raises:
            NotSound: it is none.
        """
        try:
            found: dict[str, Any] = json.loads(payload)
            told, draw = found["predicate"], found["predicate"]["draw"]
            times = (moment(told["since"]), moment(told["until"]))
            extent = Extent(str(told["control"]), tuple(map(str, told["procedures"])), *times)
            subjects = tuple(Subject(one["name"], one["digest"]["sha256"]) for one in found["subject"])
            count = None if draw["count"] is None else whole(str(draw["count"]))
            runs = tuple(map(str, draw["runs"]))
            return cls(extent, str(draw["word"]), count, runs, dict(told["counts"]), subjects)
        except NotSound:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise NotSound("it does not say what was handed over") from None

    def encode(self) -> bytes:
        """Return it as an in-toto Statement v1."""
        draw = {"word": self.word, "count": self.count, "runs": list(self.drawn)}
        extent = self.extent
        told = {
            "control": extent.control, "procedures": list(extent.procedures), "since": written(extent.since),
            "until": written(extent.until), "draw": draw, "counts": dict(self.counts),
        }  # fmt: skip
        subjects = [{"name": one.name, "digest": {"sha256": one.sha256}} for one in self.subjects]
        whole = {"_type": "https://in-toto.io/Statement/v1", "subject": subjects}
        return json.dumps({**whole, "predicateType": EXPORT_TYPE, "predicate": told}).encode()
