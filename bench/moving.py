"""A process that carries out a plan against one database; the bench kills it on the way."""

from __future__ import annotations

import os
import sys
import time
from contextlib import closing
from pathlib import Path

from opslib import config
from opslib.archive.changes import Changes
from opslib.changes import Means
from opslib.changes.archiving import Archiving
from opslib.config import Secret
from opslib.config.environment import Door
from opslib.gate.apply import Applying
from opslib.gate.ledger import Ledger
from opslib.gate.plan import Plan
from opslib.pg import Database

ADDRESS = "OPSLIB_BENCH_DSN"


def main(archive: str, digest: str) -> None:
    """Apply the plan of that digest, or go on with it; print what became of it, and when it was connected."""
    changes = Changes(Path(archive))
    plan = Plan.from_document(changes.plan(digest))
    env = config.load_system(plan.system).environment("sandbox")
    door = Door("operator", Secret.literal("bench", os.environ[ADDRESS]), False)
    with closing(Database([door], application_name="opslib/bench/1")) as database:
        means = Means(env, lambda: database, lambda name: None, plan.draft.settings)
        ledger = Ledger(changes, digest, "bench")
        with database.lock(plan.draft.kind):
            connected = time.time()
            ledger.started({})
            (result,) = Applying(plan, Archiving(means), means, ledger).run()
    print(result.state, connected, result.text)


if __name__ == "__main__":
    main(*sys.argv[1:])
