"""Processes in which papermill is imported already, each running one notebook after the other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue

from bench.process import ROOT, Failed, Meter, Taken, surroundings
from bench.suite import Entry

_LAST_WORDS = 3000


class Worker:
    """One such process.

    Args:
        process: runs `bench.worker`.
        log: what it writes on stderr.
    """

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process, self._log = process, log
        self.pid = process.pid

    def expect(self, word: str) -> None:
        """Wait for an answer.

        Raises:
            Failed: it is another, or the process has ended.
        """
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != word:
            words = self._log.read_text(encoding="utf-8", errors="replace")[-_LAST_WORDS:]
            raise Failed(f"a process with papermill's API did not get {word}:\n{words}")

    def work(self, waiting: SimpleQueue[str]) -> None:
        """Run what waits until nothing does."""
        assert self._process.stdin is not None
        while True:
            try:
                asked = waiting.get_nowait()
            except Empty:
                return
            self._process.stdin.write(f"{asked}\n")
            self._process.stdin.flush()
            self.expect("done")


def run(entries: Sequence[Entry], folder: Path, *, many: int) -> Taken:
    """Run entries by papermill's API in so many processes; the clock starts when all are warm."""
    outputs = tuple(folder / f"{number}.ipynb" for number in range(len(entries)))
    waiting: SimpleQueue[str] = SimpleQueue()
    for entry, output in zip(entries, outputs, strict=True):
        asked = {"notebook": str(entry.notebook), "output": str(output), "parameters": entry.given}
        waiting.put(json.dumps(asked))
    with ExitStack() as held:
        workers = [held.enter_context(_started(folder, number)) for number in range(many)]
        for worker in workers:
            worker.expect("ready")
        pids = tuple(worker.pid for worker in workers)
        with Meter(lambda: pids) as meter, ThreadPoolExecutor(many) as pool:
            for _ in pool.map(lambda worker: worker.work(waiting), workers):
                pass
    return Taken(meter.seconds, meter.cpu, outputs)


@contextmanager
def _started(folder: Path, number: int) -> Iterator[Worker]:
    """Yield a worker; it ends with its stdin when the block does."""
    log = folder / f"worker-{number}.log"
    with log.open("w", encoding="utf-8") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.worker"], cwd=ROOT, env=surroundings(folder), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said,
        )  # fmt: skip
        with process:
            yield Worker(process, log)
