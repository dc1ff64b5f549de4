"""A warm process that runs notebooks by papermill's own function: `python -m bench.worker`.

It says `ready` when papermill is imported; then a line of JSON in, with notebook, output and parameters,
and a line out when that is done.
"""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    """Run notebooks until stdin ends."""
    from papermill import execute_notebook

    # Kernels inherit our stdout; what they write there must not look like an answer.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    answers.write("ready\n")
    for line in sys.stdin:
        asked = json.loads(line)
        execute_notebook(
            asked["notebook"], asked["output"], parameters=asked["parameters"], progress_bar=False
        )
        answers.write("done\n")


if __name__ == "__main__":
    main()
