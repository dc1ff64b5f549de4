"""Several procedures in one call: what each is given, and what is printed of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from opslib.cli import board, output, verdicts
from opslib.runner.watch import Watch
from opslib.verdict import Status, combine

if TYPE_CHECKING:
    from opslib.catalog import Procedure
    from opslib.runner.request import Outcome, Request

_COLUMNS = ("SYSTEM", "PROCEDURE", "VERDICT", "CAUSE", "NEXT", "SECONDS")


def shared(procedures: Sequence[Procedure], given: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return for each procedure the given parameters that it declares, with their types.

    Raises:
        UnknownName: none of them declares one of the names.
        ParameterError: a value is wrong for one of them.
    """
    declared = [{parameter.name for parameter in procedure.parameters} for procedure in procedures]
    _known(given, sorted(set().union(*declared)))
    return [
        procedure.parse({name: value for name, value in given.items() if name in names})
        for procedure, names in zip(procedures, declared, strict=True)
    ]


def run(requests: Sequence[Request], *, jobs: int | None, as_json: bool, quiet: bool) -> int:
    """Run procedures side by side, print them in the order asked, and return the worst verdict's code."""
    from opslib.runner import attempt

    with board.opened(not (as_json or quiet)) as shown:
        watch = shown if as_json else _Ordered(requests, shown)
        outcomes = attempt.attempt_many(requests, jobs=jobs, watch=watch)
    verdict = combine(outcome.status for outcome in outcomes)
    documents = [outcome.document for outcome in outcomes]
    output.emit({"verdict": str(verdict), "runs": documents}) if as_json else _table(verdict, documents)
    return verdict.exit_code


class _Ordered(Watch):
    """Prints each result as soon as all before it are printed; passes on what is for the progress."""

    def __init__(self, requests: Sequence[Request], shown: board.Board) -> None:
        self._shown = shown
        self._left = deque(request.run_id for request in requests)
        self._archives = {request.run_id: request.archive for request in requests}
        self._held: dict[str, Mapping[str, Any]] = {}

    def expect(self, runs: int) -> None:
        """Pass it on."""
        self._shown.expect(runs)

    def say(self, text: str) -> None:
        """Pass it on."""
        self._shown.say(text)

    def step(self, run_id: str, text: str) -> None:
        """Pass it on."""
        self._shown.step(run_id, text)

    def done(self, outcome: Outcome) -> None:
        """Print what can be printed now."""
        self._shown.done(outcome)
        self._held[outcome.run_id] = outcome.document
        if self._left[0] == outcome.run_id:
            with self._shown.hidden():
                self._print()

    def _print(self) -> None:
        while self._left and self._left[0] in self._held:
            run_id = self._left.popleft()
            document = self._held.pop(run_id)
            verdicts.show(document)
            verdicts.plan(document, self._archives[run_id])
            output.say("")


def _known(given: Mapping[str, str], names: Sequence[str]) -> None:
    from opslib.errors import UnknownName
    from opslib.parameters import close

    for name in given:
        if name not in names:
            hint = f"they have: {', '.join(names) or 'none'}"
            raise UnknownName(
                f"none of these procedures has a parameter {name}{close(name, names)}", hint=hint
            )


def _table(verdict: Status, documents: Sequence[Mapping[str, Any]]) -> None:
    """Print the worst verdict and a line for each run; the system only where there are several."""
    systems = list(dict.fromkeys(document["system"] for document in documents))
    what = f"{len(documents)} procedures on {systems[0]}"
    if several := len(systems) > 1:
        what = f"{len(documents)} runs on {len(systems)} systems"
    verdicts.headline(verdict, what)
    output.say("")
    first = 0 if several else 1
    output.table(_COLUMNS[first:], [_row(document)[first:] for document in documents])


def _row(document: Mapping[str, Any]) -> tuple[Any, ...]:
    cause = (document["cause"] or {}).get("id", "")
    following = next((step["procedure"] for step in document["next"]), "")
    seconds = f"{document['duration_s']:.1f}"
    verdict = Status(document["verdict"])
    return document["system"], document["procedure"], verdict, cause, following, seconds
