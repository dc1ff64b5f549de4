"""One run, seen from inside the notebook."""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from opslib import config, ids
from opslib.calls import Call
from opslib.errors import UnknownName
from opslib.home import default_archive
from opslib.run import document, history, namespace, rehearsal
from opslib.run.backups import BackupSource
from opslib.run.checker import Checker
from opslib.run.copies import CopySource
from opslib.run.files import FileSource
from opslib.run.gate import Gate
from opslib.run.recovery import RecoverySource
from opslib.run.sources import DatabaseSource, SiteSource, StatusSource, VendorSource
from opslib.show import display, markup, secrets
from opslib.verdict import Finding, Status, Verdict, conclude

if TYPE_CHECKING:
    import pandas as pd

    from opslib.acts import Statement

_OPEN = ExitStack()
atexit.register(_OPEN.close)


def start(
    procedure: str, *, system: str, environment: str = "sandbox", dry_run: bool = True, approval: str = ""
) -> Ops:
    """Begin a run and show its banner.

    Args:
        procedure: id of the procedure, as in the notebook's metadata.
        system: a system with a file in `parameters/systems`.
        environment: one of its environments; `sandbox` starts the rehearsal sandbox if none is up.
        dry_run: show the plan, change nothing.
        approval: digest of the approved plan that is to be applied.

    Raises:
        UnknownName: there is no such system or environment.
        ConfigError: the system's file is wrong; the message names file and line.
    """
    secrets.confide()
    chosen = config.load_system(system).environment(environment)
    if environment == "sandbox" and not chosen.attached:
        from opslib.sandbox import control

        _OPEN.enter_context(control.ensure(system))
        chosen = config.load_system(system).environment(environment)
    ops = Ops(procedure, chosen, os.environ.get("OPSLIB_RUN_ID") or ids.new_run_id())
    ops.gate = Gate(ops, dry_run=dry_run, approval=approval, values=namespace.of_caller(1))
    ops.refresh()
    return ops


class Ops:
    """The run as its notebook sees it.

    Attributes:
        env: the environment looked at (addresses, limits, vendors).
        system: the system, as its file describes it.
        run_id: identity of the run.
        check: make findings; the banner follows.
        show: show tables and plots.
        gate: show a plan, and carry out the approved one.
        pg, site, vendors: the database, the system's own URLs, the vendors' status pages.
        backups, copies, recovery: own backups of the database, those in a bucket, and restoring them.
        files: the buckets of files and their copies.
        rehearse: try migrations on a copy of the tables.
    """

    def __init__(self, procedure: str, env: config.Environment, run_id: str) -> None:
        self.procedure = procedure
        self.env = env
        self.system = env.system
        self.run_id = run_id
        self.started: datetime = ids.now()
        self.calls: list[Call] = []
        self.check = Checker(self._added)
        self.show = display.Show()
        self.finished = False
        self.gate = Gate(self, dry_run=True, approval="", values={})
        self._found: list[Finding] = []
        self._before: frozenset[str] = frozenset()
        self._banner = display.Banner(run_id)

    @cached_property
    def pg(self) -> DatabaseSource:
        """The system's database: `ops.pg.table(name)`, `ops.pg.doors()`."""
        # The server cuts names at 63 bytes; without its dashes the run's id survives whole.
        name = f"opslib/{self.procedure}/{self.run_id.replace('-', '')}"
        source = DatabaseSource(self.env, name, self.calls.append)
        _OPEN.callback(source.close)
        return source

    @cached_property
    def backups(self) -> BackupSource:
        """Own backups of the system's database: `ops.backups.list()`, `.take()`, `.read_back()`."""
        name = f"opslib/{self.procedure}/{self.run_id.replace('-', '')}"
        return BackupSource(self.env, name, self.run_id, self.calls.append)

    @cached_property
    def copies(self) -> CopySource:
        """Copies of own backups in a bucket: `ops.copies.list()`, `.send()`, `.read_back()`."""
        return CopySource(self.env, self.backups, self.run_id)

    @cached_property
    def recovery(self) -> RecoverySource:
        """What backups are for: `ops.recovery.choose()`, `.target()`, `.compare()`, `.drill()`."""
        return RecoverySource(self.env, self.run_id)

    def rehearse(self, acts: Sequence[Statement], ledger: Sequence[str]) -> pd.DataFrame:
        """Try migrations on a copy of the tables; arguments and columns as `rehearsal.rehearse`."""
        return rehearsal.rehearse(self.env, acts, ledger, display.Progress(self.run_id))

    @cached_property
    def files(self) -> FileSource:
        """The buckets of files and their copies: `ops.files.inventory()`, `.buckets()`, `.wanted()`."""
        return FileSource(self.env, self.calls.append)

    @cached_property
    def site(self) -> SiteSource:
        """The system's own URLs: `ops.site.probe()`, `.names()`, `.tls()`."""
        return SiteSource(self.env, self.calls.append)

    @cached_property
    def vendors(self) -> StatusSource:
        """The vendors' public status pages: `ops.vendors.status_pages()`."""
        return StatusSource(self.env, self.calls.append)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self.vendor(name)

    def vendor(self, name: str) -> VendorSource:
        """Return the client of one vendor; `ops.vercel` is short for `ops.vendor("vercel")`.

        Raises:
            AttributeError: opslib has no client for that vendor.
        """
        try:
            source = VendorSource(name, self.env, self.calls.append)
        except UnknownName as error:
            raise AttributeError(error.text()) from error
        setattr(self, name, source)
        return source

    def limit(self, name: str) -> config.Limit:
        """Return a limit of this environment: `.warning`, `.critical`, `.unit`, `.source`."""
        return self.env.limit(name)

    @property
    def verdict(self) -> Verdict:
        """The verdict as it stands."""
        return conclude(self._found)

    def refresh(self) -> None:
        """Bring the banner up to date."""
        self._banner.show(self._heading(), self.verdict)

    def findings(self) -> None:
        """Show all findings, the worst first."""
        display.findings(self._found)

    def history(self, key: str, runs: int = 30, days: int = 0) -> pd.DataFrame:
        """Return what earlier runs of this procedure observed for one finding.

        Args:
            key: the finding's key, `check:subject`.
            runs: how many runs to go back at most.
            days: at most one run in so many days; 0 for all.

        Returns:
            Columns finished_at, status, observed (number), text; the oldest first.
        """
        return history.series(default_archive(), self.procedure, self.env, key, runs, days)

    def routine(self, name: str, max_age_minutes: int = 30) -> pd.DataFrame:
        """Return the items of a routine with their latest results, running those that have none.

        Args:
            name: daily, weekly, monthly or quarterly.
            max_age_minutes: a record younger than this counts; older ones are run again.
        """
        from opslib.runner import routine

        return routine.collect(self.system.name, self.env.name, name, max_age_minutes, default_archive())

    def superseding(self) -> None:
        """From now on the same check, made again, stands in the place of what it said before a change."""
        self._before = frozenset(finding.check for finding in self._found)

    def finish(self) -> Verdict:
        """End the run: final banner, typed output for programs, a note ready to paste."""
        self.finished = True
        self.refresh()
        verdict = self.verdict
        display.result(document.build(self, verdict), document.note(self, verdict))
        return verdict

    def _added(self, made: Sequence[Finding]) -> None:
        # Checks are shared: where one leads to the procedure that is being run, it leads nowhere.
        found = [replace(one, next="") if one.next == self.procedure else one for one in made]
        again = self._before & {finding.check for finding in found}
        self._found = [finding for finding in self._found if finding.check not in again]
        self._before -= again
        self._found.extend(found)
        self.refresh()
        display.findings(found)

    def _heading(self) -> markup.Heading:
        started = self.started.strftime("%Y-%m-%d %H:%M:%S")
        title = self.procedure.replace("-", " ")
        return markup.Heading(
            title, self.system.name, self.env.name, self.run_id, started, running=not self.finished
        )

    def __repr__(self) -> str:
        status = self.verdict.status if self._found else Status.UNKNOWN
        return f"<ops {self.procedure} {self.system.name}/{self.env.name}: {status}>"
