"""What the samples of one endpoint say together: the ground that health and site-down stand on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from opslib.config import HealthEndpoint

ANY = "*"
# The host itself said no, or broke off: that is an answer, unlike silence.
ANSWERED_NO = ("refused", "reset", "tls")


@dataclass(frozen=True)
class Look:
    """All samples of one endpoint.

    Args:
        endpoint: the endpoint as the system's file has it.
        samples: how many samples there are.
        good: how many came with a right status.
        kind: what most of the others were: refused, reset, tls, dns, timeout, http-5xx, http-4xx,
            forbidden, limited, or any other error kind; empty when all are good.
        says: what one of the others said, in words.
        code: status of the others, 0 where no answer came.
        ms: times of the good samples.
        wrong: JSON field -> value, of fields that are there but not as expected.
        missing: expected JSON fields that are not there.
        no_json: an answer with a right status was no JSON object although one is expected.
        read: at least one JSON document could be read.
        pool: the block that describes the app's connection pool, or None.
    """

    endpoint: HealthEndpoint
    samples: int
    good: int
    kind: str = ""
    says: str = ""
    code: int = 0
    ms: tuple[float, ...] = ()
    wrong: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    no_json: bool = False
    read: bool = False
    pool: Any = None

    @property
    def name(self) -> str:
        """The endpoint's name."""
        return self.endpoint.name

    @property
    def answered(self) -> bool:
        """Whether any sample got an HTTP answer."""
        return self.good > 0 or self.code > 0


def looks(probes: pd.DataFrame, endpoints: Iterable[HealthEndpoint]) -> list[Look]:
    """Return one look an endpoint; an endpoint without samples has `samples == 0`.

    Args:
        probes: as `site.probe` returns them.
        endpoints: the endpoints that should have been asked.
    """
    return [_look(endpoint, probes[probes["endpoint"] == endpoint.name]) for endpoint in endpoints]


def _look(endpoint: HealthEndpoint, rows: pd.DataFrame) -> Look:
    right = rows["status_code"].isin(endpoint.status_codes)
    good, bad = rows[right], rows[~right]
    kind, says, code = _most(bad)
    documents = [f for f, ok in zip(rows["fields"], rows["json_ok"], strict=True) if ok is True]
    wrong, missing = _against(documents, endpoint.expect)
    return Look(
        endpoint,
        samples=len(rows),
        good=len(good),
        kind=kind,
        says=says,
        code=code,
        ms=tuple(float(ms) for ms in good["ms"]),
        wrong=wrong,
        missing=missing,
        no_json=endpoint.json and any(ok is False for ok in good["json_ok"]),
        read=bool(documents),
        pool=_pool(documents, endpoint.pool),
    )


def _most(bad: pd.DataFrame) -> tuple[str, str, int]:
    """Return kind, words and status of the most frequent way to fail."""
    if bad.empty:
        return "", "", 0
    seen = [_failure(row) for row in bad.to_dict("records")]
    return Counter(seen).most_common(1)[0][0]


def _failure(row: Mapping[Any, Any]) -> tuple[str, str, int]:
    code = int(row["status_code"])
    if code == 0:
        return str(row["error_kind"]), str(row["error"]), 0
    kind = "http-5xx" if code >= 500 else "http-4xx" if code >= 400 else "unexpected"
    kind = {401: "forbidden", 403: "forbidden", 429: "limited"}.get(code, kind)
    return kind, f"answered {code}", code


def _against(
    documents: Sequence[Mapping[str, Any]], expect: Mapping[str, Sequence[str]]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the wrong fields with a value seen, and the missing ones, over all documents."""
    wrong: dict[str, str] = {}
    missing: dict[str, None] = {}
    for document in documents:
        for name, accepted in expect.items():
            value = document.get(name)
            if value is None or value == "":
                missing[name] = None
            elif ANY not in accepted and str(value) not in accepted:
                wrong[name] = str(value)[:60]
    return wrong, tuple(missing)


def _pool(documents: Sequence[Mapping[str, Any]], path: str | None) -> Any:
    """Return the fullest pool block that was seen."""
    found = [document.get(path) for document in documents] if path else []
    blocks = [block for block in found if isinstance(block, dict)]
    return max(blocks, key=lambda block: _number(block.get("checked_out")), default=None)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else -1.0
