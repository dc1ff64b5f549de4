"""Feature flags of both stores: which one is behind errors, and changing one exactly as planned."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest

from opslib import catalog, changes, config, frames, ids, keys, site
from opslib.acts import Opening, Request, Statement
from opslib.archive.changes import Changes
from opslib.changes import Means, flag, flag_choice
from opslib.changes.flag_choice import Wanted
from opslib.checks import flags
from opslib.checks.flags import Errors
from opslib.cli import changes as cli
from opslib.config import Environment, Limit, Secret
from opslib.config.environment import Door
from opslib.config.parts import Flags
from opslib.errors import Forbidden, SourceError
from opslib.gate import faults, making, signing, undo
from opslib.gate.apply import Applying
from opslib.gate.ledger import Ledger
from opslib.gate.plan import Draft, Plan
from opslib.gate.results import Result
from opslib.http import ONCE, Client
from opslib.pg import Database
from opslib.runner import execute
from opslib.sandbox import control
from opslib.vendors.posthog import PostHog
from tests.servers import in_turn, reply, serving

ROOT = Path(__file__).parents[1]
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LIMIT = Limit(warning=1, critical=5, unit="%")
WELL = Errors(40, 0)
STOP = Flags(store="posthog", kill_switch="stop-all", source="test")
PAGES = {"klutr": "/api/health", "your-app": "/api/health"}
# A flag that the scenario does not touch, and one that it does.
GOOD = {"klutr": "smart-stacks", "your-app": "dark-theme"}
BAD = {"klutr": "voice-notes", "your-app": "new-editor"}
BOTH = pytest.mark.parametrize("system", ["klutr", "your-app"])
Row = Mapping[str, Any]


def sql_row(name: str = "editor", **changed: Any) -> dict[str, Any]:
    """Return a row of the statement `feature_flags`."""
    row = {
        "name": name, "enabled": True, "kill_switch": False, "rollout_percentage": 25,
        "updated_at": pd.Timestamp(NOW - timedelta(hours=1)), "owner": "web", "description": "",
    }  # fmt: skip
    return {**row, **changed}


def posthog_row(key: str = "notes", groups: Any = None, **changed: Any) -> dict[str, Any]:
    """Return a row of `PostHog.feature_flags`."""
    filters = {"groups": groups or [{"properties": [], "rollout_percentage": 50}]}
    row = {
        "id": 7, "key": key, "name": "", "active": True, "rollout": 50, "kind": "boolean", "version": 3,
        "updated": pd.Timestamp(NOW - timedelta(hours=1)), "changed_by": "ada@example.com",
        "filters": filters,
    }  # fmt: skip
    return {**row, **changed}


def table(*rows: Row, where: Flags | None = STOP) -> pd.DataFrame:
    """Return rows of either store in one form."""
    return flags.state(pd.DataFrame(list(rows)), where)


def probes(*codes: int) -> pd.DataFrame:
    """Return answers as the site probe does."""
    return pd.DataFrame([{"status_code": code, "error": "" if code else "silence"} for code in codes])


def refused(flags_seen: pd.DataFrame, asked: Wanted, seen: Errors = WELL) -> str:
    """Return why something cannot be planned."""
    return flag_choice.refusal(flags_seen, asked, seen, LIMIT)


def test_flags_of_both_stores_are_told_in_the_same_words() -> None:
    """One page, one way to read it."""
    rows = table(
        sql_row(), sql_row("killed", kill_switch=True), sql_row("off", enabled=False), where=None
    ).to_dict("records")
    assert {row["flag"]: row["exposed"] for row in rows} == {"editor": 25, "killed": 0, "off": 0}
    (other,) = table(posthog_row()).to_dict("records")
    assert (other["exposed"], other["kill_switch"], other["id"]) == (50, None, 7)


def test_a_table_that_shows_no_flag_is_not_taken_for_empty() -> None:
    """Row-level security hides rows without a word."""
    nothing = pd.DataFrame(columns=list(sql_row()))
    assert flags.known(flags.state(nothing, None)).status == "unknown"
    blind = flags.state(frames.unavailable(["name"], "refused"), None)
    for found in (flags.known(blind), flags.kill_switches(blind), flags.stale(blind)):
        assert found.status == "unknown" and "refused" in found.why
    assert flags.blame(blind, blind, WELL).status == "unknown"


def test_no_answer_is_not_the_fault_of_a_flag() -> None:
    """What was not seen is unknown; only 5xx answers are errors of the code."""
    assert flags.errors(probes(200, 500, 503, 404)).share_pct == 50
    for unseen in (probes(0, 0), frames.unavailable(site.PROBE_COLUMNS, "no network")):
        seen = flags.errors(unseen)
        found = flags.suspects(table(sql_row()), seen, LIMIT)
        assert found.empty and flags.error_share(seen, LIMIT, found).status == "unknown"
        assert flags.blame(table(sql_row()), found, seen).status == "unknown"


@pytest.mark.parametrize(
    ("share", "hours", "failed", "suspected"),
    [
        (60, 1, 24, True),
        (60, 100, 24, False),
        (25, 1, 24, False),
        (100, 1, 24, False),
        (60, 1, 0, False),
        (100, 1, 40, True),
        (0, 1, 24, False),
    ],
    ids=["fits", "long-ago", "too-few", "too-many", "no-errors", "everybody", "nobody"],
)
def test_a_flag_is_suspected_for_its_share_and_its_time_together(
    share: int, hours: float, failed: int, suspected: bool
) -> None:
    """Either alone proves nothing."""
    row = sql_row(rollout_percentage=share, updated_at=pd.Timestamp(NOW - timedelta(hours=hours)))
    seen = Errors(40, failed)
    seen_flags = table(row)
    found = flags.suspects(seen_flags, seen, LIMIT, now=NOW)
    assert list(found["flag"]) == (["editor"] if suspected else [])
    finding = flags.blame(seen_flags, found, seen)
    assert (finding.cause == flags.BAD_FEATURE) is suspected
    assert flags.error_share(seen, LIMIT, found).next == ("site-down" if failed and not suspected else "")


def test_of_two_suspects_the_last_changed_is_named_and_the_other_told() -> None:
    """A guess is no certainty."""
    earlier = pd.Timestamp(NOW - timedelta(hours=9))
    rows = [sql_row("first", rollout_percentage=60, updated_at=earlier), sql_row(rollout_percentage=58)]
    seen_flags, seen = table(*rows), Errors(40, 24)
    finding = flags.blame(seen_flags, flags.suspects(seen_flags, seen, LIMIT, now=NOW), seen)
    assert finding.subject == "editor" and "could also be first" in finding.why


def test_a_kill_switch_that_is_on_is_told_with_who_and_when() -> None:
    """It hides a fault, so it must not be forgotten."""
    assert flags.kill_switches(table(sql_row(), posthog_row("stop-all", active=False))).status == "ok"
    for row, who in ((sql_row(kill_switch=True), "web"), (posthog_row("stop-all"), "ada@example.com")):
        found = flags.kill_switches(table(row))
        assert found.status == "warning" and who in found.observed and "2026-11-21 11:00" in found.observed


def test_a_settled_flag_is_stale_after_months_and_a_kill_switch_never() -> None:
    """One that still decides something is not left over."""
    old = pd.Timestamp(NOW - timedelta(days=91))
    rows = [
        sql_row("done", rollout_percentage=100, updated_at=old),
        sql_row("half", rollout_percentage=50, updated_at=old),
        sql_row("stop-all", enabled=False, updated_at=old),
        sql_row("young", rollout_percentage=100),
    ]
    found = flags.stale(table(*rows), now=NOW)
    assert found.status == "warning" and found.observed == "done (100 %)"


@pytest.mark.parametrize(
    ("row", "asked", "says"),
    [
        (sql_row(), Wanted("edtior", "disable"), "did you mean editor"),
        (sql_row(), Wanted("", "disable"), "which flag"),
        (sql_row(kill_switch=True), Wanted("editor", "rollout", 50), "unkill it first"),
        (sql_row(), Wanted("editor", "rollout", 50, ("5", "many")), "whole percents"),
        (sql_row(updated_at=pd.NaT), Wanted("editor", "disable"), "when it was changed"),
        (sql_row(rollout_percentage=None), Wanted("editor", "disable"), "its share"),
        (posthog_row("stop-all"), Wanted("stop-all", "enable"), "say kill or unkill"),
        (
            posthog_row(groups=[{"rollout_percentage": 5}, {"rollout_percentage": 9}], rollout=None),
            Wanted("notes", "rollout", 50),
            "several conditions",
        ),
        (
            posthog_row(groups=[{"properties": [{"value": 0.5}], "rollout_percentage": 50}]),
            Wanted("notes", "rollout", 60),
            "fractions",
        ),
    ],
)
def test_what_cannot_be_planned_is_refused_with_the_reason(row: Row, asked: Wanted, says: str) -> None:
    """And no plan is made of it."""
    env = config.load_system("klutr", ROOT / "parameters").environment("sandbox")
    seen = table(row)
    assert says in refused(seen, asked)
    made = flag.draft(seen, asked, WELL, env)
    assert made is not None and not made.targets and says in "".join(made.left_out.values())
    finding = flag_choice.answered(seen, asked, WELL, LIMIT)
    assert finding.status == "unknown" and says in finding.why


@pytest.mark.parametrize(
    ("row", "asked"),
    [
        (sql_row(), Wanted("editor", "rollout", 50)),
        (sql_row(enabled=False), Wanted("editor", "enable")),
        (sql_row(kill_switch=True), Wanted("editor", "unkill")),
        (posthog_row("stop-all"), Wanted("stop-all", "unkill")),
    ],
)
def test_nobody_gets_anything_new_while_the_site_fails_or_cannot_be_seen(row: Row, asked: Wanted) -> None:
    """Nobody could tell whose errors those are; who knows better says so."""
    seen = table(row)
    assert "fail now" in refused(seen, asked, Errors(40, 4))
    assert "cannot be watched" in refused(seen, asked, Errors(0, 0, "silence"))
    assert not refused(seen, asked)
    unguarded = Wanted(asked.flag, asked.action, asked.percent, guarded=False)
    assert not refused(seen, unguarded, Errors(40, 4))


@pytest.mark.parametrize("action", ["disable", "kill"])
def test_a_feature_can_always_be_switched_off(action: str) -> None:
    """Just when the site fails it must be."""
    for seen in (Errors(40, 40), Errors(0, 0, "silence")):
        assert not refused(table(sql_row()), Wanted("editor", action), seen)


@pytest.mark.parametrize(
    ("row", "asked", "states"),
    [
        (sql_row(), Wanted("editor", "rollout", 100, ("5", "50", "25")), [50, 100]),
        (sql_row(enabled=False), Wanted("editor", "rollout", 60, ("5", "50")), [5, 50, 60]),
        (sql_row(), Wanted("editor", "rollout", 10, ("5", "50")), [10]),
        (sql_row(), Wanted("editor", "rollout", 25), []),
        (sql_row(), Wanted("editor", "enable"), []),
        (sql_row(), Wanted("editor", "disable"), [0]),
        (sql_row(), Wanted("editor", "kill"), [0]),
        (posthog_row(), Wanted("notes", "kill"), [0]),
        (posthog_row("stop-all", active=False), Wanted("stop-all", "kill"), [100]),
        (posthog_row("stop-all"), Wanted("stop-all", "unkill"), [0]),
    ],
)
def test_a_flag_goes_through_the_steps_that_are_left(row: Row, asked: Wanted, states: list[int]) -> None:
    """Up in steps, down at once, and nowhere when it is there already."""
    chosen = flag_choice.row_of(table(row), asked)
    assert chosen is not None
    assert [flag_choice.reached(state) for state in flag_choice.way(chosen, asked)] == states


def test_without_an_action_only_a_suspect_is_proposed() -> None:
    """Looking never ends in a plan for something that is well."""
    none, one = table(sql_row()).head(0), table(sql_row())
    assert flag_choice.wanted("", "", 100, [], True, none, None) is None
    assert flag_choice.wanted("other", "", 100, [], True, one, None) is None
    assert flag_choice.wanted("", "", 100, [], True, one, None) == Wanted("editor", "disable")
    stop = flag_choice.wanted("", "kill", 100, [], True, none, STOP)
    assert stop is not None and stop.flag == "stop-all"


def test_a_plan_says_what_users_will_notice() -> None:
    """In the words of its reader, also where the flag is one that stops things, or lets nobody through."""
    env = config.load_system("klutr", ROOT / "parameters").environment("sandbox")

    def said(row: Row, action: str) -> tuple[str, str, str]:
        made = flag.draft(table(row), Wanted(str(row.get("name") or row["key"]), action), WELL, env)
        assert made is not None
        return made.title, made.blast.split(";")[0], made.targets[0].name

    off = "0 % of the users get the feature editor, after 25 %"
    assert said(sql_row(), "disable") == ("switch the feature editor off", off, "editor: off")
    killed = "switch the kill switch of the feature editor on"
    assert said(sql_row(), "kill") == (killed, off, "editor: kill switch on")
    nobody = said(sql_row(enabled=False, rollout_percentage=0), "enable")
    assert nobody[1].startswith("users notice nothing yet")
    stopped = said(posthog_row("stop-all", active=False), "kill")
    assert stopped[:2] == (
        "switch the kill switch stop-all on", "what stop-all stands for stops, for everybody",
    )  # fmt: skip


def test_only_wider_steps_are_watched() -> None:
    """Errors that stay after a feature was switched off are no reason to switch it on again."""
    env = config.load_system("your-app", ROOT / "parameters").environment("sandbox")
    wider = flag.draft(table(sql_row()), Wanted("editor", "rollout", 50), WELL, env, watch_seconds=0)
    assert wider and wider.settings == {"samples": 20, "watch_seconds": 0, "limit_permille": 10}
    for asked in (Wanted("editor", "disable"), Wanted("editor", "rollout", 50, guarded=False)):
        made = flag.draft(table(sql_row()), asked, WELL, env)
        assert made and made.targets and not made.settings


def access(system: str = "klutr") -> Environment:
    """Return the rehearsed environment of a system."""
    return config.load_system(system, ROOT / "parameters").environment("sandbox")


def posthog() -> PostHog:
    """Return the client of the rehearsed PostHog."""
    return PostHog(access().vendors["posthog"])


def at_posthog(number: object, body: Mapping[str, Any]) -> int:
    """Send a change as anybody with the token could; return the status."""
    env = access().vendors["posthog"]
    path = f"/api/projects/{env.settings['project']}/feature_flags/{number}/"
    with Client(env.api_url, name="posthog", token=env.token, policy=ONCE) as client:
        try:
            return client.act(Opening(Request("posthog", "PATCH", path, {}, body), "key")).status_code
        except SourceError as error:
            return next((code for code in (400, 404, 409) if f"answered {code}" in error.message), 0)


def flag_at_posthog(key: str) -> dict[str, Any]:
    """Return a flag's row."""
    rows = posthog().feature_flags(search=key).to_dict("records")
    return next({str(k): v for k, v in row.items()} for row in rows if row["key"] == key)


def test_flags_are_read_page_by_page_and_deleted_ones_left_out() -> None:
    """A second page must not be lost, and a share that is not given is everybody."""

    def page(following: str | None, *entries: Any) -> bytes:
        return json.dumps({"count": 3, "next": following, "results": entries}).encode()

    bare = {"id": 1, "key": "a", "active": True, "filters": {"groups": [{"properties": []}]}}
    second = {"id": 2, "key": "b", "active": True, "filters": {"groups": []}, "version": None}
    gone = {"id": 3, "key": "c", "active": True, "filters": {}, "deleted": True}
    shown = {"id": 4, "key": "d", "filters": {"groups": [{"properties": [{"cohort_name": "x", "value": 2}]}]}}
    pages = in_turn(
        reply(200, page("https://x/?limit=100&offset=2", bare, gone)), reply(200, page(None, second, shown))
    )
    with serving(pages) as url:
        given = config.VendorAccess("posthog", url, "", "none", (), {"project": "1"}, None)
        found = PostHog(given).feature_flags()
    assert list(found["key"]) == ["a", "b", "d"] and list(found["rollout"]) == [100, 0, 100]
    assert found["filters"].iloc[2]["groups"][0]["properties"] == [{"value": 2}]


def test_a_project_that_nobody_named_is_said_so() -> None:
    """Not a 404 of which nobody knows why."""
    bare = config.VendorAccess("posthog", "http://127.0.0.1:1", "", "none", (), {}, None)
    with pytest.raises(SourceError, match="no project"):
        PostHog(bare).feature_flags()


def test_posthog_wants_the_number_and_refuses_only_what_somebody_else_changed(kept: object) -> None:
    """The key finds nothing; an old version alone prevents nothing, an old value of the field does."""
    seen = flag_at_posthog("voice-notes")
    narrow = {"groups": [{**seen["filters"]["groups"][0], "rollout_percentage": 10}]}
    assert at_posthog("voice-notes", {"active": False}) == 404
    assert at_posthog(seen["id"], {"active": "no"}) == 400
    assert at_posthog(seen["id"], {"filters": narrow}) == 200
    mine = {"filters": {**seen["filters"], "groups": []}, "version": seen["version"]}
    assert at_posthog(seen["id"], {**mine, "original_flag": {"filters": seen["filters"]}}) == 409
    assert at_posthog(seen["id"], {"active": False, "version": seen["version"]}) == 200
    now = flag_at_posthog("voice-notes")
    assert now["version"] == seen["version"] + 2 and not now["active"] and now["rollout"] == 10


def test_a_wrong_token_is_refused(sandbox: object) -> None:
    """The probe says so before anybody needs it."""
    real = access().vendors["posthog"]
    assert PostHog(real).probe().iloc[0]["ok"]
    wrong = config.VendorAccess("posthog", real.api_url, "", "none", (), real.settings, None)
    with pytest.raises(Forbidden):
        PostHog(wrong).probe()


@pytest.fixture
def kept(sandbox: object) -> Iterator[None]:
    """All flags as they were, after the test."""
    with psycopg.connect(dsn(), autocommit=True) as admin:
        rows = admin.execute(
            "select name, enabled, kill_switch, rollout_percentage, updated_at from feature_flags"
        )
        before = rows.fetchall()
    hosted = posthog().feature_flags().to_dict("records")
    yield
    control.heal()
    with psycopg.connect(dsn(), autocommit=True) as admin:
        for name, *values in before:
            places = "(enabled, kill_switch, rollout_percentage, updated_at) = (%s, %s, %s, %s)"
            admin.execute(f"update feature_flags set {places} where name = %s".encode(), [*values, name])
    for row in hosted:
        assert at_posthog(row["id"], {"active": row["active"], "filters": row["filters"]}) == 200


def dsn() -> str:
    """Return the administrator's address of the database with the flags."""
    return str(control.status()["databases"]["your-app"]["admin"])


class Desk:
    """Flags of one system, with all that is needed to change them as the gate does.

    Args:
        system: the system.
        archive: where plans are kept.
        stack: closes what is opened.
    """

    def __init__(self, system: str, archive: Path, stack: ExitStack) -> None:
        self.env, self.changes = access(system), Changes(archive)
        self._posthog = PostHog(self.env.vendors["posthog"]) if system == "klutr" else None
        assert self.env.operator is not None
        self.database = Database((self.env.operator,), application_name="opslib/test/1")
        stack.callback(self.database.close)

    def state(self) -> pd.DataFrame:
        """Return the flags now."""
        found = self._posthog.feature_flags() if self._posthog else self.database.table("feature_flags")
        return flags.state(found, self.env.system.flags)

    def now(self, name: str) -> dict[str, Any]:
        """Return the state of one flag now."""
        row = flag_choice.row_of(self.state(), Wanted(name, ""))
        assert row is not None
        return flag_choice.state_of(row)

    def errors(self) -> Errors:
        """Return the errors now."""
        return flags.errors(site.probe(self.env, samples=20))

    def draft(self, name: str, action: str, percent: int = 100, *steps: str) -> Draft:
        """Return the proposal."""
        asked = Wanted(name, action, percent, steps)
        made = flag.draft(self.state(), asked, self.errors(), self.env, watch_seconds=0)
        assert made is not None
        return made

    def plan(self, made: Draft) -> Plan:
        """Keep a plan."""
        asked = making.Asked("feature-flags", "sha256:0", {}, self.env, "run-1")
        plan = making.make(made, asked, ids.now())
        making.keep(plan, self.changes)
        return plan

    def apply(self, plan: Plan) -> tuple[Result, ...]:
        """Carry a plan out."""
        means = Means(self.env, lambda: self.database, lambda name: self._posthog, plan.draft.settings)
        kind = changes.load(plan.draft.kind)(means)
        return Applying(plan, kind, means, Ledger(self.changes, plan.digest, "run-2")).run()

    def undo(self, plan: Plan) -> tuple[Result, ...]:
        """Take a plan back."""
        back = undo.reverse(plan, self.changes, minutes=10, by=making.me(), now=ids.now())
        making.keep(back, self.changes)
        return self.apply(back)

    def meddle(self, name: str, percent: int) -> None:
        """Change a flag as somebody else."""
        if self._posthog:
            row = flag_at_posthog(name)
            group = {**row["filters"]["groups"][0], "rollout_percentage": percent}
            assert at_posthog(row["id"], {"filters": {**row["filters"], "groups": [group]}}) == 200
            return
        with psycopg.connect(dsn(), autocommit=True) as admin:
            change = "update feature_flags set rollout_percentage = %s, updated_at = now() where name = %s"
            admin.execute(change, [percent, name])


@pytest.fixture
def desk(kept: object, system: str, tmp_path: Path) -> Iterator[Desk]:
    """The flags of a system, put back afterwards."""
    with ExitStack() as stack:
        yield Desk(system, tmp_path, stack)


def outcomes(results: tuple[Result, ...]) -> list[str]:
    """Return what became of each target."""
    return [str(result.state) for result in results]


@BOTH
def test_an_app_fails_for_exactly_the_share_that_its_flag_lets_through(desk: Desk, system: str) -> None:
    """Nothing pretends: the app asks the real store at each request."""
    control.break_("bad-feature", system)
    name = BAD[system]
    for share in (60, 25, 5, 0, 100):
        desk.meddle(name, share)
        assert desk.errors().share_pct == share
    assert set(outcomes(desk.apply(desk.plan(desk.draft(name, "kill"))))) == {"done"}
    assert desk.errors().share_pct == 0


def test_the_kill_switch_of_a_system_switches_all_ai_work_off(kept: object, tmp_path: Path) -> None:
    """As its runbook says: true means off."""

    def ai() -> str:
        env = access()
        with Client(env.base_url or "", name="site", resolver=env.resolver, policy=ONCE) as client:
            return str(client.get("/api/debug/flags").json["ai"])

    with ExitStack() as stack:
        desk = Desk("klutr", tmp_path, stack)
        assert ai() == "on"
        plan = desk.plan(desk.draft("klutr-global-disable", "kill"))
        assert "stops, for everybody" in plan.draft.blast and "switch" in plan.draft.title
        assert outcomes(desk.apply(plan)) == ["done"] and ai() == "off"
        assert flags.kill_switches(desk.state()).status == "warning"
        assert outcomes(desk.undo(plan)) == ["done"] and ai() == "on"


@BOTH
def test_a_good_feature_is_rolled_out_step_by_step_and_can_be_taken_back(desk: Desk, system: str) -> None:
    """Each step is its own act; the way back works although time and version have moved on."""
    name = GOOD[system]
    desk.meddle(name, 10)
    before = desk.now(name)
    plan = desk.plan(desk.draft(name, "rollout", 100, "5", "25", "50"))
    assert [target.after["rollout"] for target in plan.draft.targets] == [25, 50, 100]
    assert outcomes(desk.apply(plan)) == ["done"] * 3
    assert desk.now(name)["rollout"] == 100
    assert outcomes(desk.apply(plan)) == ["already done"] * 3
    assert outcomes(desk.undo(plan)) == ["done"] * 3
    assert desk.now(name) == before


@BOTH
def test_a_bad_feature_returns_by_itself_to_where_it_was(desk: Desk, system: str) -> None:
    """The step that brings errors is taken back, and those before it."""
    control.break_("bad-feature", system)
    name = BAD[system]
    assert outcomes(desk.apply(desk.plan(desk.draft(name, "disable")))) == ["done"]
    before = desk.now(name)
    plan = desk.plan(desk.draft(name, "rollout", 100, "1", "25", "50"))
    results = desk.apply(plan)
    assert outcomes(results) == ["taken back", "taken back", "not reached", "not reached"]
    assert "25 % of the answers failed (10 of 40)" in results[0].text
    assert desk.now(name) == before and desk.errors().share_pct == 0


@BOTH
def test_a_flag_that_somebody_else_changed_is_left_alone(desk: Desk, system: str) -> None:
    """Neither what they did nor what was planned is then what anybody approved."""
    name = GOOD[system]
    plan = desk.plan(desk.draft(name, "disable"))
    desk.meddle(name, 33)
    (result,) = desk.apply(plan)
    assert result.state == "left out" and "33 now" in result.text
    assert desk.now(name)["enabled"]


@BOTH
def test_a_change_between_the_look_and_the_act_is_not_overwritten(desk: Desk, system: str) -> None:
    """The store itself refuses what is no longer as it was seen."""
    name = GOOD[system]
    desk.meddle(name, 20)
    (target,) = desk.draft(name, "rollout", 40).targets
    desk.meddle(name, 33)
    opening = Opening(target.act, "key")
    if isinstance(target.act, Statement):
        assert not desk.database.act(opening)
    else:
        with pytest.raises(SourceError, match="409"):
            posthog().act(opening)
    assert desk.now(name)["rollout"] == 33


def test_a_flag_touched_in_the_same_breath_is_seen_by_its_time(kept: object, tmp_path: Path) -> None:
    """Back to the same values is not untouched: whoever did it had a reason."""
    with ExitStack() as stack:
        desk = Desk("your-app", tmp_path, stack)
        plan = desk.plan(desk.draft("dark-theme", "disable"))
        desk.meddle("dark-theme", int(desk.now("dark-theme")["rollout"]))
        (result,) = desk.apply(plan)
    assert result.state == "left out" and "moved at the last moment" in result.text


def test_the_rights_that_the_doctor_prints_are_enough_and_no_more(kept: object) -> None:
    """Behind row-level security, as the two roles that a user makes; the one cannot write."""
    printed = (ROOT / "opslib" / "doctor" / "roles.sql").read_text(encoding="utf-8")
    printed = printed.split("-- 4. ")[1].split("-- 5. ")[0]
    grants = re.sub(r"(?m)^.*?:$|^-- ?", "", printed.split("):", 1)[1])
    grants = grants.replace("opslib_monitor", "test_monitor").replace("opslib_operator", "test_operator")
    params = {
        "name": "dark-theme", "enabled": False, "kill_switch": False, "rollout": 50, "seen_enabled": True,
        "seen_kill_switch": False, "seen_rollout": 50, "seen_updated_at": "",
    }  # fmt: skip
    with psycopg.connect(dsn(), autocommit=True) as admin, ExitStack() as stack:
        doors = [_role(admin, stack, name) for name in ("test_monitor", "test_operator")]
        admin.execute(grants.encode())
        for role in ("test_monitor", "test_operator"):
            stack.callback(admin.execute, f"drop owned by {role}")
        monitor, operator = (Database((door,), application_name="opslib/test/1") for door in doors)
        stack.callback(monitor.close)
        stack.callback(operator.close)
        assert len(monitor.table("feature_flags")) == 4
        opening = Opening(Statement("set_feature_flag", params), "key")
        with pytest.raises(SourceError, match="permission denied"):
            monitor.act(opening)
        done = operator.act(Opening(Statement("set_feature_flag", params), "key"))
        assert (done[0]["was_enabled"], done[0]["enabled"]) == (True, False)


def _role(admin: psycopg.Connection[Any], stack: ExitStack, name: str) -> Door:
    """Make a role that is gone again after the test; return its way in."""
    admin.execute(f"create role {name} login password 'test'".encode())
    stack.callback(admin.execute, f"drop role {name}")
    address = psycopg.conninfo.make_conninfo(dsn(), user=name, password="test")
    return Door("direct", Secret.literal(name, address), False)


def test_a_roll_out_is_given_the_time_for_which_it_is_watched(kept: object, tmp_path: Path) -> None:
    """Cut off between two steps, a bad one would stay."""
    with ExitStack() as stack:
        desk = Desk("your-app", tmp_path, stack)
        asked = Wanted("dark-theme", "rollout", 100, ("75",))
        made = flag.draft(desk.state(), asked, WELL, desk.env, watch_seconds=600)
        assert made is not None
        assert cli._watched_s(desk.plan(made)) >= 2 * 600
        assert cli._watched_s(desk.plan(desk.draft("dark-theme", "disable"))) == 0


@BOTH
def test_a_flag_that_is_gone_is_left_out(desk: Desk, system: str) -> None:
    """Nothing is made where nothing is."""
    name = GOOD[system]
    plan = desk.plan(desk.draft(name, "disable"))
    kind = changes.load(plan.draft.kind)(
        Means(desk.env, lambda: desk.database, lambda _: posthog(), plan.draft.settings)
    )
    (target,) = plan.draft.targets
    other = {**target.identity, "flag": "no-such-flag"}
    seen = kind.observe(type(target)(**{**vars(target), "identity": other}))
    assert not seen.values and "gone" in seen.text


@BOTH
def test_a_step_that_nobody_can_watch_is_taken_back(desk: Desk, system: str) -> None:
    """More users on a site that gives no answer would be blind flight."""
    name = GOOD[system]
    desk.meddle(name, 10)
    plan = desk.plan(desk.draft(name, "rollout", 50))
    control.break_("app-down", system)
    assert outcomes(desk.apply(plan)) == ["taken back"]
    assert desk.now(name)["rollout"] == 10


CRASH = """
import sys
from contextlib import ExitStack
from pathlib import Path
sys.path.insert(0, {root!r})
from opslib.gate.plan import Plan
from tests.test_flags import Desk
with ExitStack() as stack:
    desk = Desk({system!r}, Path({archive!r}), stack)
    desk.apply(Plan.from_document(desk.changes.plan({digest!r})))
"""
COUNTED = """
create table public.flag_writes (name text, rollout integer);
create function flag_written() returns trigger language plpgsql as
$$ begin insert into public.flag_writes values (new.name, new.rollout_percentage); return null; end $$;
create trigger flag_writes after update on public.feature_flags for each row execute function flag_written()
"""


@pytest.fixture
def counted(kept: object) -> Iterator[None]:
    """The database itself counts the writes to its flags."""
    with psycopg.connect(dsn(), autocommit=True) as admin:
        admin.execute(COUNTED.encode())
        admin.execute("grant insert on flag_writes to public")
        yield
        admin.execute("drop trigger flag_writes on feature_flags")
        admin.execute("drop function flag_written; drop table flag_writes")


def arrived(system: str) -> int:
    """Return how many changes of flags the store has taken so far."""
    if system == "klutr":
        with Client(access().vendors["posthog"].api_url, name="posthog", policy=ONCE) as client:
            return sum(row["status"] == 200 for row in client.get("/rehearsal/writes").json)
    with psycopg.connect(dsn(), autocommit=True) as admin:
        row = admin.execute("select count(*) from flag_writes").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(
    ("system", "point"),
    [*(("your-app", point) for point in faults.POINTS), ("klutr", "after-intent"), ("klutr", "after-act")],
)
def test_killed_anywhere_each_step_is_done_exactly_once(
    counted: object, desk: Desk, system: str, point: str, tmp_path: Path
) -> None:
    """Counted at the store; the first step is known to be done, the second is settled by looking."""
    name = GOOD[system]
    desk.meddle(name, 10)
    plan = desk.plan(desk.draft(name, "rollout", 50, "25"))
    before = arrived(system)
    code = CRASH.format(root=str(ROOT), system=system, archive=str(tmp_path), digest=plan.digest)
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, faults.VARIABLE: f"{point}:2"},
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    again = desk.apply(plan)
    assert outcomes(again) == ["already done", "done"]
    assert arrived(system) - before == 2 and desk.now(name)["rollout"] == 50


def perform(system: str, archive: Path, **given: Any) -> dict[str, Any]:
    """Run the procedure and return its document."""
    procedure = catalog.load(ROOT / "notebooks").get("feature-flags")
    return execute.run(execute.Request(procedure, system, "sandbox", given, archive=archive)).document


def approve(document: dict[str, Any], signer: keys.Signer, archive: Path) -> dict[str, Any]:
    """Sign the plan of a document and return the parameters that apply it."""
    digest = document["plan"]["digest"]
    until = ids.stamp(ids.now() + timedelta(minutes=10))
    where = {"system": document["system"], "environment": "sandbox", "break_glass": False}
    signed = signing.sign(signing.APPROVAL, digest, signer, reason="rehearsal", expires_at=until, **where)
    Changes(archive).add_approval(digest, signed)
    return {"dry_run": False, "approval": digest}


def test_a_roll_out_that_came_back_is_no_success(kept: object, signer: keys.Signer, tmp_path: Path) -> None:
    """The verdict says that it came back and why; the site is well again."""
    control.break_("bad-feature", "your-app")
    with ExitStack() as stack:
        desk = Desk("your-app", tmp_path, stack)
        desk.meddle("new-editor", 0)
    given = {"flag": "new-editor", "action": "rollout", "percent": 50, "watch_seconds": 0}
    planned = perform("your-app", tmp_path, **given)
    assert planned["verdict"] == "ok" and planned["plan"]["targets"]
    applied = perform("your-app", tmp_path, **given, **approve(planned, signer, tmp_path))
    assert applied["verdict"] == "warning" and applied["cause"]["id"] == "change-taken-back"
    assert applied["changed"][0]["state"] == "taken back" and "failed" in applied["changed"][0]["text"]


def test_a_slip_in_the_name_is_answered_with_the_right_one(sandbox: object, tmp_path: Path) -> None:
    """Nothing is planned, and the exit code says that nothing was answered."""
    found = perform("your-app", tmp_path, flag="new-editr", action="disable")
    assert found["verdict"] == "unknown" and found["plan"] is None
    assert any("did you mean new-editor" in finding["why"] for finding in found["findings"])
