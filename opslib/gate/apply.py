"""Carry out an approved plan: each target looked at again, each act written down before and after.

Safe to be killed anywhere and to be started again: what is done is not repeated, what may have been
done is settled by looking, what has moved is left out, and nothing is ever added.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from opslib import ids
from opslib.acts import Opening, secret_labels
from opslib.changes import Kind, Means
from opslib.errors import ArchiveError, OpsError, RateLimited, SourceError, Unreachable
from opslib.gate import faults, vault
from opslib.gate.ledger import DO, DONE, FAILED, UNDO, Ledger
from opslib.gate.plan import Observed, Plan, Target
from opslib.gate.results import Result, State
from opslib.gate.sending import Moved, send
from opslib.gate.wording import words

_LOOK_AGAIN_S = 0.2
_LATE_S = 30.0  # a server may still be at what it has not answered in time
_NEVER_SENT = ("dns", "refused", "tls")
Progress = Callable[[str], None]


class Unclear(Exception):
    """Nobody can tell yet whether an act took place."""


class Applying:
    """One application of a plan.

    Args:
        plan: the approved plan.
        kind: how its targets are looked at.
        means: what the acts are done with.
        ledger: where all is written down.
        settle_only: finish what was begun, begin nothing.
        progress: told how far it is.
    """

    def __init__(
        self, plan: Plan, kind: Kind, means: Means, ledger: Ledger, *,
        settle_only: bool = False, progress: Progress = lambda text: None,
    ) -> None:  # fmt: skip
        self._plan, self._kind, self._means, self._ledger = plan, kind, means, ledger
        self._settle_only, self._progress = settle_only, progress
        self._at, self._sent = plan.draft.targets[0], False

    def run(self) -> tuple[Result, ...]:
        """Carry the plan out as far as it goes, and return what became of each target.

        Raises:
            ArchiveError: the ledger cannot be written; nothing was done.
        """
        targets = self._plan.draft.targets
        results: dict[str, Result] = {}
        try:
            for result in self._all():
                results[result.target] = result
            counts = {str(s): sum(r.state is s for r in results.values()) for s in State}
            self._ledger.finished({**counts, str(State.NOT_REACHED): len(targets) - len(results)})
        except ArchiveError as error:
            if not self._sent:
                raise
            text = f"what became of it could not be written down: {error.message}; run apply again"
            results[self._at.name] = Result(self._at.name, State.UNCLEAR, text=text, act=self._at.act.text)
        missing = (Result(t.name, State.NOT_REACHED, act=t.act.text) for t in targets)
        return tuple(results.get(result.target, result) for result in missing)

    def _all(self) -> Iterator[Result]:
        yield from self._forward()
        if reason := self._ledger.taking_back:
            yield from self._backward(reason)

    def _forward(self) -> Iterator[Result]:
        for number, target in enumerate(self._plan.draft.targets, 1):
            if self._ledger.taking_back:
                return
            self._progress(f"{number} of {len(self._plan.draft.targets)}: {target.name}")
            result = self._step(target, target, DO)
            yield result
            done = result.state in (State.DONE, State.ALREADY_DONE)
            if done and self._unwatched(number, target, result) and (reason := self._watched(target)):
                self._ledger.take_back(reason)
            elif not done and (self._kind.CHAINED or result.state is not State.LEFT_OUT):
                return

    def _watched(self, target: Target) -> str:
        """Return why a change that was just made must be taken back; not to see is a reason too."""
        if self._plan.undoes:
            return ""
        try:
            return self._kind.watch(target)
        except Exception as error:  # noqa: BLE001 - whatever broke, nobody sees what the change does
            said = error.message if isinstance(error, OpsError) else type(error).__name__
            return f"what it does to users could not be seen: {said}"

    def _backward(self, reason: str) -> Iterator[Result]:
        """Take back what was done, the newest first."""
        for target in reversed(self._plan.draft.targets):
            if not self._ledger.entry(target).done:
                continue
            way_back = target.reversed()
            if way_back is None:
                yield Result(target.name, State.DONE, text=f"{reason}; nothing can take it back")
                continue
            self._progress(f"taking back: {target.name}")
            result = self._step(target, way_back, UNDO)
            back = result.state in (State.DONE, State.ALREADY_DONE)
            text = reason if back else f"{reason}; taking it back did not work: {result.text}"
            yield Result(
                target.name, State.TAKEN_BACK if back else State.FAILED, result.at, text, way_back.act.text
            )
            if not back:
                return

    def _unwatched(self, number: int, target: Target, result: Result) -> bool:
        """Tell whether nobody has looked yet at what a change did to users: not before it, nor cut off."""
        if result.state is State.DONE:
            return True
        following = self._plan.draft.targets[number : number + 1]
        went_on = any(self._ledger.entry(next_one).intent for next_one in following)
        return not (went_on or self._ledger.finished_since("outcome", target))

    def _step(self, target: Target, way: Target, act: str) -> Result:
        """Do one act if it is not done; `way` is the target itself, or its way back."""
        self._at, entry = target, self._ledger.entry(target, act)
        try:
            if entry.done:
                return self._already(way, entry.at)
            return self._settled(target, way, act) if entry.open else self._fresh(target, way, act)
        except Unclear as error:  # its intent stays open: the next application settles it
            return Result(target.name, State.UNCLEAR, text=str(error), act=way.act.text)
        except SourceError as error:
            # Of what was never begun it is clear enough that it did not take place.
            begun = entry.done or self._ledger.entry(target, act).open
            state = State.UNCLEAR if begun else State.NOT_BEGUN
            text = f"it could not be looked at: {error.message}"
            return Result(target.name, state, text=text, act=way.act.text)
        except ArchiveError:
            raise
        except OpsError as error:  # a value that the act needs is missing, or another one
            return Result(target.name, State.FAILED, text=error.message, act=way.act.text)

    def _already(self, way: Target, at: str) -> Result:
        seen = self._kind.observe(way)
        text = f"already done at {at}" + (
            "" if seen.fits(way.after) or seen.unmarked else f"; it is different now: {_said(seen)}"
        )
        return Result(way.name, State.ALREADY_DONE, at, text, way.act.text)

    def _fresh(self, target: Target, way: Target, act: str) -> Result:
        if self._settle_only and act == DO:
            return self._left(target, way, "the plan has expired: nothing new is begun")
        seen = self._kind.observe(way)
        if seen.pending:
            return self._left(target, way, f"a change is under way there already: {_said(seen)}")
        if not seen.fits(way.before):
            return self._left(target, way, _moved(way, seen))
        return self._act(target, way, act)

    def _settled(self, target: Target, way: Target, act: str) -> Result:
        """Find out what came of an act that was begun and never reported."""
        seen = self._kind.observe(way)
        if seen.pending or seen.fits(way.after):
            text = "it had been done when the run before this one was cut off"
            return self._awaited(target, way, act, text)
        if seen.partly:
            return self._act(target, way, act)
        if seen.failed or not seen.fits(way.before):
            said = _said(seen) if seen.failed else f"different now: {_moved(way, seen)}"
            return self._ended(target, way, act, FAILED, f"cut off, and {said}")
        if self._settle_only and act == DO:
            return self._ended(
                target, way, act, FAILED, "cut off before it was done; the plan has expired since"
            )
        return self._act(target, way, act)

    def _act(self, target: Target, way: Target, act: str) -> Result:
        secrets = self._secrets(target, way, act)
        if act == DO:
            for label, value in self._kind.keepsakes(way).items():
                vault.keep(self._plan.digest, target.place, label, value)
        faults.reach("before-intent")
        self._ledger.intent(target, act)
        faults.reach("after-intent")
        self._sent = True
        try:
            key = self._ledger.key(target, act)
            send(
                way,
                lambda: Opening(way.act, key, secrets),
                self._kind,
                self._means,
                self._noting(target, act),
            )
        except Unreachable as error:
            if error.kind in _NEVER_SENT:
                return self._failed(target, way, act, error.message)
            # Whether it arrived is not known; only looking tells.
            return self._awaited(target, way, act, "", why=error.message)
        except Moved as error:
            self._ended(target, way, act, FAILED, str(error))
            return self._left(target, way, str(error))
        except OpsError as error:
            ended = self._failed(target, way, act, error.message)
            # The vendor itself compared, and found that somebody else was faster.
            return self._left(target, way, error.message) if _conflict(error) else ended
        faults.reach("after-act")
        return self._awaited(target, way, act, "")

    def _failed(self, target: Target, way: Target, act: str, text: str) -> Result:
        """Write down that an act failed; of one in steps only where none of them did anything."""
        if self._kind.STEPS and self._kind.observe(way).partly:
            raise Unclear(f"{text}; run apply again, it goes on from there")
        return self._ended(target, way, act, FAILED, text)

    def _noting(self, target: Target, act: str) -> Progress:
        """Return what is told of the steps of an act."""

        def noted(text: str) -> None:
            self._ledger.step(target, act, text)
            self._progress(f"{target.name}: {text}")

        return noted

    def _secrets(self, target: Target, way: Target, act: str) -> Mapping[str, str]:
        """Return the secret parts of an act: those that can be looked up now, and for a way back the kept."""
        labels = secret_labels(way.act)
        if not labels:
            return {}
        found = dict(self._kind.secrets(way))
        kept_by = self._plan.digest if act == UNDO else self._plan.undoes
        left = [label for label in labels if kept_by and label not in found]
        return {**found, **{label: vault.get(kept_by, target.place, label) for label in left}}

    def _awaited(self, target: Target, way: Target, act: str, text: str, *, why: str = "") -> Result:
        """Wait until a change shows; `why` says that nobody knows whether it arrived."""
        begun = time.monotonic()
        while True:
            waited = time.monotonic() - begun
            seen = self._looked(way, last=waited >= self._kind.PATIENCE_S)
            if seen.fits(way.after) and not seen.pending:
                faults.reach("before-outcome")
                return self._ended(target, way, act, DONE, text or _said(seen))
            if seen.failed and not seen.pending:
                return self._ended(target, way, act, FAILED, _said(seen))
            if seen.partly:
                raise Unclear(f"{_said(seen)}{why and f' ({why})'}; run apply again, it goes on from there")
            nothing = bool(why) and not seen.pending and seen.fits(way.before)
            if nothing and waited >= min(_LATE_S, self._kind.PATIENCE_S):
                # It may still come: the intent stays open, so that nobody takes it for another's.
                raise Unclear(f"no answer, and nothing changed in {waited:.0f} s: {why}; run apply again")
            if waited >= self._kind.PATIENCE_S:
                raise Unclear(f"{why or 'it was accepted'}; after {waited:.0f} s: {_said(seen)}")
            self._progress(f"{target.name}: {_said(seen)}")
            time.sleep(_LOOK_AGAIN_S)

    def _looked(self, way: Target, *, last: bool) -> Observed:
        """Look at what was asked for; a network that is away for a moment does not end the wait."""
        try:
            return self._kind.observe(way)
        except (Unreachable, RateLimited) as error:
            if last:
                raise
            return Observed({}, pending=True, text=error.message)

    def _left(self, target: Target, way: Target, why: str) -> Result:
        self._ledger.left_out(target, why)
        return Result(target.name, State.LEFT_OUT, text=why, act=way.act.text)

    def _ended(self, target: Target, way: Target, act: str, status: str, text: str) -> Result:
        self._ledger.outcome(target, act, status, text)
        state = State.DONE if status == DONE else State.FAILED
        return Result(target.name, state, ids.stamp(ids.now()), text, way.act.text)


def _conflict(error: OpsError) -> bool:
    return isinstance(error, SourceError) and error.kind == "conflict"


def _said(seen: Observed) -> str:
    return seen.text or words(seen.values) or "gone"


def _moved(way: Target, seen: Observed) -> str:
    """Say why a target is not what it was."""
    if not seen.values:
        return seen.text or "it is gone"
    if seen.fits(way.after):
        return "it is so already, and not by this plan"
    missing = object()
    other = {n: v for n, v in seen.values.items() if n in way.before and way.before[n] != v}
    other |= {n: None for n in way.before if seen.values.get(n, missing) is missing}
    was = {name: way.before[name] for name in other}
    return f"it has changed since: {words(was)} then, {words(other)} now"
