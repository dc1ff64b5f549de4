"""Run a suite in one process, as `opslib run` would: `python -m bench.driver`, the question on stdin.

In: {"jobs": 4 or null, "archive": folder, "entries": [{"procedure", "system", "parameters"}]}.
Out: {"records": [folder of each record], "peak": bytes}.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from opslib import catalog
from opslib.runner import attempt, permission
from opslib.runner.request import Request

ENVIRONMENT = "sandbox"


def main() -> None:
    """Run what stdin asks for; every check that a run on the command line makes is made."""
    asked = json.load(sys.stdin)
    systems = dict.fromkeys(row["system"] for row in asked["entries"])
    with ExitStack() as held:
        for name in systems:
            held.enter_context(attempt.sandbox_for(attempt.target(name, ENVIRONMENT)))
        targets = {name: attempt.target(name, ENVIRONMENT) for name in systems}
        known = catalog.load()
        requests = [_request(row, known, Path(asked["archive"])) for row in asked["entries"]]
        for request in requests:
            permission.check(request, targets[request.system])
            if reasons := request.procedure.missing(targets[request.system]):
                sys.exit(f"{request.procedure.id} on {request.system} cannot be run: {reasons}")
        from opslib.runner import execute

        outcomes = execute.run_many(requests, jobs=asked["jobs"])
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
