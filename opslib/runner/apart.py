"""Runs that a notebook asks for: in one process beside its kernel, which is busy with the notebook itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opslib.errors import OpsError
from opslib.runner.lines import Documents, Job
from opslib.runner.request import CELL_TIMEOUT_S, Request

if TYPE_CHECKING:
    from opslib.config import Environment

# The cell that asks has a bound of its own, and must still be there to say what did not answer.
RUN_TIMEOUT_S = 0.8 * CELL_TIMEOUT_S
ALL_TIMEOUT_S = 900.0
PROGRAM = ("-m", __name__)
_STOPPING_S = 30.0


def run(jobs: Sequence[Job], target: Environment, archive: Path) -> Documents:
    """Run jobs side by side in a process of their own.

    Args:
        jobs: what to run.
        target: where.
        archive: where the records go.

    Returns:
        By `Job.key` the document of each, or `{"error": text}` for all that did not come back.
    """
    if not jobs:
        return {}
    asked = {
        "system": target.system.name,
        "environment": target.name,
        "archive": str(archive),
        "jobs": [{"procedure": job.procedure.id, "parameters": dict(job.parameters)} for job in jobs],
    }
    answer = _answer(asked)
    if "error" in answer:
        return {job.key: answer for job in jobs}
    return {job.key: document for job, document in zip(jobs, answer["runs"], strict=True)}


def _answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the process, and have it end with us: the pipe that it watches closes when we do."""
    watched, held = os.pipe()
    words = [sys.executable, *PROGRAM, str(watched)]
    own = {key: value for key, value in os.environ.items() if key != "OPSLIB_RUN_ID"}
    # A session of its own: when the kernel's group is killed, it must live to keep its records.
    process = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=own,
        pass_fds=[watched], start_new_session=True, text=True,
    )  # fmt: skip
    os.close(watched)
    try:
        said, _ = process.communicate(json.dumps(asked), timeout=ALL_TIMEOUT_S)
        return dict(json.loads(said))
    except subprocess.TimeoutExpired:
        return {"error": f"no verdict within {ALL_TIMEOUT_S:g} s"}
    except ValueError:
        return {"error": f"ended with exit code {process.returncode} and without a verdict"}
    finally:
        os.close(held)
        _wait(process)


def _wait(process: subprocess.Popen[str]) -> None:
    """Wait until the process has kept its records; not for ever."""
    try:
        process.communicate(timeout=_STOPPING_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def main() -> None:
    """Run what stdin says, and print one JSON object."""
    threading.Thread(target=_end_with, args=[int(sys.argv[1])], daemon=True).start()
    try:
        answer: dict[str, Any] = {"runs": _runs(json.loads(sys.stdin.read()))}
    except OpsError as error:
        answer = {"error": error.message}
    print(json.dumps(answer, default=str))


def _end_with(watched: int) -> None:
    """Stop as a service is stopped when whoever asked is gone."""
    os.read(watched, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _runs(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    from opslib import catalog
    from opslib.runner import attempt

    known = catalog.load()
    requests = [
        Request(
            procedure=known.get(job["procedure"]),
            system=asked["system"],
            environment=asked["environment"],
            parameters=job["parameters"],
            archive=Path(asked["archive"]),
            trigger="routine",
            run_timeout_s=RUN_TIMEOUT_S,
        )
        for job in asked["jobs"]
    ]
    return [outcome.document for outcome in attempt.attempt_many(requests)]


if __name__ == "__main__":
    main()
