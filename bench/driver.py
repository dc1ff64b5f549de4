"""Run a suite in one process, by the library: `python -m bench.driver`, the question on stdin.

In: {"archive": folder, "entries": [{"procedure", "system", "parameters"}]}.
Out: {"records": [folder of each record], "peak": bytes}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from opslib import catalog
from opslib.runner import attempt
from opslib.runner.request import Request

ENVIRONMENT = "sandbox"


def main() -> None:
    """Run what stdin asks for."""
    asked = json.load(sys.stdin)
    known = catalog.load()
    requests = [_request(row, known, Path(asked["archive"])) for row in asked["entries"]]
    outcomes = attempt.attempt_many(requests)
    from bench.process import own_peak

    sys.stdout.write(json.dumps({"records": [str(o.record) for o in outcomes], "peak": own_peak()}))


def _request(row: dict[str, Any], known: catalog.Catalog, archive: Path) -> Request:
    procedure = known.get(row["procedure"])
    return Request(
        procedure=procedure,
        system=row["system"],
        environment=ENVIRONMENT,
        parameters=procedure.parse(row["parameters"]),
        archive=archive,
    )


if __name__ == "__main__":
    main()
