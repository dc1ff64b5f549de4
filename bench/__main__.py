"""Measure opslib against plain papermill in the same run, alternating, and print ratios.

`make bench` starts the sandbox, then runs health-check of klutr both ways.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from opslib.sandbox import control

ROOT = Path(__file__).parents[1]
ROUNDS = 5


def timed(command: list[str]) -> float:
    """Return the seconds that a command takes, start of Python included."""
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1, 2):
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return time.perf_counter() - begun


def main() -> None:
    """Run all ways in turn and print a table."""
    with tempfile.TemporaryDirectory() as folder, control.ensure("klutr"):
        os.environ["OPSLIB_ARCHIVE"] = f"{folder}/archive"
        notebook = str(ROOT / "notebooks" / "monitor" / "health-check.ipynb")
        tools = Path(sys.executable).parent
        ways = {
            "papermill": [f"{tools}/papermill", notebook, f"{folder}/out.ipynb", "-p", "system", "klutr"],
            "opslib run": [f"{tools}/opslib", "run", "health-check", "--system", "klutr", "--json"],
            "opslib --help": [f"{tools}/opslib", "--help"],
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, command in ways.items():
                seconds[name].append(timed(command))
    report(seconds)


def report(seconds: dict[str, list[float]]) -> None:
    """Print median, spread and ratio to papermill."""
    base = statistics.median(seconds["papermill"])
    sys.stdout.write(f"{'way':16}{'median s':>10}{'min':>8}{'max':>8}{'papermill / it':>16}\n")
    for name, taken in seconds.items():
        middle = statistics.median(taken)
        row = f"{name:16}{middle:10.2f}{min(taken):8.2f}{max(taken):8.2f}{base / middle:16.1f}\n"
        sys.stdout.write(row)


if __name__ == "__main__":
    main()
