"""Environment variables: judged by name and time, set as planned, and never shown."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from opslib import catalog, config, frames, masking, vendors
from opslib.acts import Opening, Request
from opslib.archive.changes import digest_of as signed_over
from opslib.changes import Means, variable
from opslib.changes.variable_plan import Seen
from opslib.changes.variable_wish import DOPPLER, VERCEL, Wish, digest_of, same, wish
from opslib.checks import variables
from opslib.cli.app import cli
from opslib.config import Environment
from opslib.errors import ParameterError, Refused, SourceError
from opslib.gate import faults
from opslib.gate.plan import Draft
from opslib.sandbox import control
from opslib.vendors import doppler_acts, vercel_acts, vercel_variable_acts
from opslib.vendors.vercel_notes import back_to, mark_in, noted
from opslib.vendors.vercel_variables import BUILT_WITH, VARIABLES
from opslib.verdict import Cause, Finding, Status
from tests.waiting import wait

ROOT = Path(__file__).parents[1]
CANARY = "sk-kanarienvogel-a1b2c3"
MARK, SALT = "0123456789ab", "00" * 16
OLD, BUILT, NEW = (pd.Timestamp(f"2026-01-0{day}T00:00:00Z") for day in (1, 2, 3))
REQUIRED = ("NEON_DATABASE_URL", "OPENAI_API_KEY", "CRON_SECRET")
WELL = (Finding("answers", Status.OK),)
ILL = (Finding("answers", Status.CRITICAL, cause=Cause("app-500", "it fails")),)


def env(system: str = "klutr") -> Environment:
    """Return a system's sandbox."""
    return config.load_system(system, ROOT / "parameters").environment("sandbox")


def at_vercel(*names: str, **given: Any) -> pd.DataFrame:
    """Return variables as the client does; `given` holds for all of them."""
    row = {"target": "production", "type": "encrypted", "updated": OLD, "comment": "", "managed": False}
    rows = [{**row, "since": OLD, "key": name, "id": f"id-{name}", **given} for name in names]
    return pd.DataFrame(rows, columns=list(VARIABLES))


def named(*names: str) -> pd.DataFrame:
    """Return names as Doppler's client does."""
    return pd.DataFrame({"name": list(names)})


def deployed(**given: Any) -> pd.DataFrame:
    """Return one deployment that serves."""
    row = {"id": "dpl_1", "created": BUILT, "current": True, "commit": "abcdef0123", "mark": ""}
    return pd.DataFrame([{**row, **given}])


def required() -> tuple[str, ...]:
    """Return what klutr needs."""
    return env().system.required_at("vercel")


def test_not_set_and_not_built_in_are_two_facts() -> None:
    """Setting it mends the first; only a deployment mends the second."""
    there, missing = at_vercel(*required()[1:]), required()[0]
    found = variables.required(env(), there, named(*required()))
    assert [(f.subject, f.status) for f in found] == [("vercel", Status.CRITICAL), ("doppler", Status.OK)]
    assert f"-p name={missing} --stdin" in found[0].why
    built = variables.built(env(), named(*required()[1:]), at_vercel(*required()))
    assert built.status is Status.CRITICAL and missing in built.observed
    assert built.cause == found[0].cause == variables.MISSING


def test_what_the_backend_needs_is_not_looked_for_at_vercel() -> None:
    """It is set where the backend runs, and nothing there tells names."""
    there = env("your-backend")
    found = variables.required(
        there,
        at_vercel(*there.system.required_at("vercel")),
        frames.unavailable(["name"], "none", absent=True),
    )
    assert [(f.subject, f.status) for f in found] == [("vercel", Status.OK), ("backend", Status.SKIPPED)]


def test_a_list_that_knows_none_of_the_project_s_variables_proves_nothing() -> None:
    """Vercel may tell of a deployment only what was given on the command line."""
    assert variables.built(env(), named("NODE_OPTIONS"), at_vercel(*required())).status is Status.SKIPPED


def test_a_change_after_the_build_is_not_live_unless_it_set_back_what_was() -> None:
    """An undo writes late, but the value is the one that serves."""
    late = at_vercel("A", updated=NEW, since=NEW)
    assert variables.live(env(), late, deployed()).cause == variables.NOT_LIVE
    assert variables.live(env(), at_vercel("A", updated=NEW, since=OLD), deployed()).status is Status.OK
    assert variables.live(env(), late, deployed().head(0)).status is Status.UNKNOWN


def test_drift_names_both_sides_and_leaves_out_what_an_integration_sets() -> None:
    """A database integration's variables are nobody's mistake."""
    there = pd.concat([at_vercel("A", "B"), at_vercel("POSTGRES_URL", managed=True)])
    found = variables.drift(there, named("A", "C"))
    assert found.observed == "only at Doppler: C; only at Vercel: B"
    assert variables.drift(there, named("A", "B", "POSTGRES_URL")).status is Status.OK
    without = frames.unavailable(["name"], "no doppler here", absent=True)
    assert variables.drift(there, without).status is Status.SKIPPED


@pytest.mark.parametrize(
    "name, leaks",
    [
        ("NEXT_PUBLIC_SUPABASE_SERVICE_ROLE_KEY", True),
        ("NEXT_PUBLIC_STRIPE_SECRET_KEY", True),
        ("VITE_PRIVATE_KEY", True),
        ("REACT_APP_DATABASE_URL", True),
        ("EXPO_PUBLIC_ADMIN_PASSWORD", True),
        ("NEXT_PUBLIC_SUPABASE_ANON_KEY", False),
        ("NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY", False),
        ("NEXT_PUBLIC_API_BASE_URL", False),
        ("NEXT_PUBLIC_SECRETARY_EMAIL", False),
        ("STRIPE_SECRET_KEY", False),
        ("SUPABASE_SERVICE_ROLE_KEY", False),
    ],
)
def test_a_public_prefix_on_a_secret_is_a_leak(name: str, leaks: bool) -> None:
    """Public keys are meant to be public; parts of longer words are no words."""
    assert bool(variables.leaks([name])) is leaks


def test_what_could_not_be_looked_at_is_unknown() -> None:
    """No source, no verdict."""
    blind, doppler = frames.unavailable(VARIABLES, "refused"), frames.unavailable(["name"], "refused")
    seen = frames.unavailable(deployed().columns.to_list(), "refused")
    found = variables.everything(env(), blind, doppler, seen, frames.unavailable(BUILT_WITH, "refused"))
    assert {finding.status for finding in found} == {Status.UNKNOWN}
    assert variables.serving(frames.unavailable(["id"], "refused")) == "" and frames.reason(
        variables.shown(blind, doppler)
    )


def test_a_value_in_place_of_a_reference_is_refused_and_not_repeated() -> None:
    """It stands in somebody's history already; it must not stand in ours."""
    with pytest.raises(ParameterError) as caught:
        wish("API_KEY", CANARY)
    declared = catalog.load(ROOT / "notebooks").get("env-vars")
    with pytest.raises(ParameterError) as refused:
        declared.parse({"value": CANARY})
    for error in (caught.value, refused.value):
        assert CANARY not in error.text() and "env:" in error.text()
    assert CANARY in masking.registered().values()
    assert declared.parse({"value": "env:SOMETHING"}) == {"value": "env:SOMETHING"}


def test_a_wish_knows_its_value_again_without_holding_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another salt each time; what cannot be had is said, not guessed."""
    monkeypatch.setenv("GIVEN", CANARY)
    one, two = wish("API_KEY", "env:GIVEN"), wish("API_KEY", "env:GIVEN")
    assert (one.salt, one.digest, one.mark) != (two.salt, two.digest, two.mark)
    assert same(CANARY, one.salt, one.digest) and not same(CANARY + "x", one.salt, one.digest)
    assert CANARY not in repr(one)
    assert "NOT_THERE is not set" in wish("API_KEY", "env:NOT_THERE").reason
    assert wish("", "env:NOT_THERE").reason == "" == wish("", "env:GIVEN").digest


@cache
def digested() -> str:
    """Return the digest of the value, which is dear to make."""
    return digest_of(CANARY, SALT)


def wished(name: str = "API_KEY", **given: Any) -> Wish:
    """Return a wish for a value that can be had."""
    made = Wish(name, VERCEL, False, True, "env:GIVEN", SALT, digested(), MARK)
    return replace(made, **given)


def drafted(made: Wish, vercel: pd.DataFrame, **given: Any) -> Draft:
    """Return the draft of a wish where something is proposed."""
    draft = variable.draft(env(), made, looked(vercel, **given))
    assert draft is not None
    return draft


def looked(vercel: pd.DataFrame, **given: Any) -> Seen:
    """Return what was seen, with a site that works."""
    project = pd.DataFrame([{"name": "klutr", "last_request": "", "last_request_state": ""}])
    seen = Seen(vercel, named("A"), deployed(), project, WELL)
    return replace(seen, **given)


def test_a_new_variable_is_created_and_then_built_in() -> None:
    """In this order; undone in the other, by what only exists then."""
    draft = drafted(wished(), at_vercel("A"))
    one, two = draft.targets
    assert isinstance(one.act, Request) and isinstance(two.act, Request)
    assert (one.act.method, one.act.params, one.before) == ("POST", {"slug": "klutr"}, {"exists": False})
    assert one.act.body["value"] == {"secret": "value"} and one.act.body["comment"] == f"opslib {MARK}"
    assert two.act.path == "/v13/deployments" and two.act.body["meta"]["opslib"] == MARK
    assert one.undo and "DELETE" in one.undo.text and two.undo and "rollback" in two.undo.text
    assert draft.settings["watch"] is True and draft.numbers == {"variables": 1, "deployments": 1}


def test_a_plan_holds_no_value_and_can_be_signed() -> None:
    """Canonical JSON of all targets: a digest, never the value."""
    for there in (at_vercel("A"), at_vercel("API_KEY", comment="ask Ann")):
        draft = drafted(wished(), there)
        document = [draft.settings, *(target.to_dict() for target in draft.targets)]
        assert signed_over(document) and CANARY not in json.dumps(document)


def test_a_variable_that_is_set_is_edited_where_it_stands() -> None:
    """By its id, with somebody's note kept, and a way back that says which value comes back."""
    draft = drafted(wished(), at_vercel("API_KEY", comment="ask Ann", target="production, preview"))
    target = draft.targets[0]
    assert isinstance(target.act, Request) and isinstance(target.undo, Request)
    assert target.act.path.endswith("/env/id-API_KEY") and target.act.method == "PATCH"
    assert target.act.body["comment"] == f"ask Ann; opslib {MARK}"
    assert target.undo.body["comment"] == f"ask Ann; opslib back to {target.before['updated']}"
    assert "preview" in target.effect and not draft.not_undoable


def test_what_nobody_can_read_has_no_way_back_and_says_so() -> None:
    """Before anybody approves it."""
    draft = drafted(wished(), at_vercel("API_KEY", type="sensitive"))
    assert draft.targets[0].undo is None
    assert "nobody can read" in draft.not_undoable[0]


@pytest.mark.parametrize(
    "made, there, why",
    [
        (wished(reason="its value cannot be had"), at_vercel(), "cannot be had"),
        (wished(), at_vercel("API_KEY", managed=True), "integration"),
        (wished("VERCEL_URL"), at_vercel(), "Vercel's own"),
        (wished("NEXT_PUBLIC_CLERK_SECRET_KEY"), at_vercel(), "every page"),
        (wished("CRON_SECRET", delete=True), at_vercel("CRON_SECRET"), "the app needs it"),
        (wished(delete=True), at_vercel(), "it is not set"),
        (wished("A", where=DOPPLER), at_vercel(), "only adds names"),
        (wished("a_b", where=DOPPLER), at_vercel(), "capital"),
        (wished(where=DOPPLER, delete=True), at_vercel(), "removes nothing"),
        (wished(), frames.unavailable(VARIABLES, "refused"), "could not be looked at"),
    ],
)
def test_what_must_not_be_done_is_left_out_with_its_reason(made: Wish, there: pd.DataFrame, why: str) -> None:
    """Nothing is proposed, and the page says why."""
    draft = drafted(made, there)
    assert not draft.targets and why in draft.left_out[made.name]


def test_nothing_is_built_where_it_could_not_go_live() -> None:
    """After an instant rollback Vercel waits for somebody to promote."""
    back = pd.DataFrame([{"name": "klutr", "last_request": "rollback", "last_request_state": "succeeded"}])
    draft = drafted(wished(), at_vercel(), project=back)
    assert len(draft.targets) == 1 and "rolled back" in draft.left_out["deploy again"]


def test_without_a_name_only_what_is_not_live_is_built_again() -> None:
    """No value is known, so none is set."""
    nothing = wished("", digest="", redeploy=True)
    assert variable.draft(env(), nothing, looked(at_vercel("A"))) is None
    (target,) = drafted(nothing, at_vercel("A", since=NEW)).targets
    assert target.name == "abcdef0 built again"
    assert variable.draft(env(), replace(nothing, redeploy=False), looked(at_vercel("A", since=NEW))) is None


def test_what_is_not_for_real_users_never_touches_production() -> None:
    """A plan of a lenient environment must not reach what a strict one guards."""
    staging = replace(env(), name="staging", production=False)
    assert variables.target(env()) == variables.target(replace(staging, production=True)) == "production"
    draft = variable.draft(staging, wished(), looked(at_vercel()))
    assert draft is not None
    (target,) = draft.targets
    assert isinstance(target.act, Request) and target.act.body["target"] == ["preview"]
    assert "only what serves production" in draft.left_out["deploy again"]
    assert variables.live(staging, at_vercel("A"), deployed()).status is Status.SKIPPED
    assert variable.draft(staging, wished(""), looked(at_vercel("A", since=NEW))) is None


def test_a_site_that_fails_already_is_not_watched() -> None:
    """Only what worked before can be taken from visitors."""
    assert drafted(wished(), at_vercel(), site=ILL).settings["watch"] is False


@pytest.mark.parametrize("comment", ["", "ask Ann", f"ask Ann; opslib {MARK}", "opslib back to 2026-01-01"])
def test_our_note_replaces_an_earlier_one_of_ours_and_nobody_else_s(comment: str) -> None:
    """However often it is changed, the comment does not grow."""
    note = noted(comment, "ffffffffffff")
    assert note in ("opslib ffffffffffff", "ask Ann; opslib ffffffffffff")
    assert (mark_in(note), back_to(note)) == ("ffffffffffff", "")
    assert (mark_in(noted(comment, "back to T")), back_to(noted(comment, "back to T"))) == ("", "T")
    assert len(noted("x" * 600, "ffffffffffff")) <= 500


@dataclass
class Desk:
    """The vendors of a system in the running sandbox, with the gate's way in.

    Args:
        env: the system's sandbox.
    """

    env: Environment

    @property
    def project(self) -> str:
        """The project at Vercel."""
        return self.env.vendors[VERCEL].settings["project"]

    def client(self, name: str) -> Any:
        """Return the client of a vendor."""
        return vendors.load(name)(self.env.vendors[name], resolver=self.env.resolver)

    def do(self, act: Request, **secrets: str) -> None:
        """Carry one act out."""
        self.client(act.source).act(Opening(act, "a-key", secrets))

    def create(self, name: str, *, type: str = "encrypted", comment: str = "") -> str:
        """Set a variable for production and return its id."""
        act = vercel_variable_acts.create(
            self.project, name, ["production"], type=type, comment=comment, team=""
        )
        self.do(act, value=CANARY)
        return str(self.row(name)["id"])

    def row(self, name: str) -> pd.Series:
        """Return a variable as it is now."""
        frame = self.client(VERCEL).environment_variables()
        found: pd.Series = frame[frame["key"] == name].iloc[0]
        return found

    def kind(self, draft: Draft) -> variable.Variables:
        """Return the kind of change for a draft."""
        return variable.Variables(Means(self.env, _no_database, self.client, draft.settings))

    def seen(self) -> Seen:
        """Look as the procedure does."""
        vercel, doppler = self.client(VERCEL), self.client(DOPPLER)
        project = vercel.project()
        serving = vercel.deployment(variables.serving(project))
        return Seen(vercel.environment_variables(), doppler.secret_names(), serving, project, WELL)


def _no_database() -> Any:
    raise AssertionError("variables need no database")


@pytest.fixture
def desk(sandbox: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """klutr in the running sandbox, with whatever was added taken away again."""
    monkeypatch.setenv("GIVEN", CANARY)
    made = Desk(env())
    known = _names(made)
    yield made
    if control.status()["broken"]:
        control.heal()
    vercel, doppler = _names(made)
    for name in vercel - known[0]:
        made.do(vercel_variable_acts.delete(made.project, str(made.row(name)["id"]), team=""))
    for name in doppler - known[1]:
        value = made.client(DOPPLER).secret_value(name)
        made.do(doppler_acts.delete("klutr", "production", name), before=value)
    if made.client(VERCEL).project().iloc[0]["last_request"] == "rollback":
        _promote(made)
    if _live(made).status is not Status.OK:
        _deploy(made)


def _names(desk: Desk) -> tuple[set[str], set[str]]:
    """Return the names at Vercel and at Doppler."""
    vercel = desk.client(VERCEL).environment_variables()
    return set(vercel["key"]), set(desk.client(DOPPLER).secret_names()["name"])


def test_a_value_is_told_for_one_variable_and_never_if_it_is_sensitive(desk: Desk) -> None:
    """The list tells none; the notebook's way to a vendor has no method for it."""
    plain, sealed = desk.create("PLAIN_ONE"), desk.create("SEALED_ONE", type="sensitive")
    client = desk.client(VERCEL)
    assert client.variable_value(plain) == CANARY and client.variable_value(sealed) is None
    assert CANARY in masking.registered().values()
    assert CANARY not in client.environment_variables().to_string()
    assert "variable_value" not in client.COLUMNS and "secret_value" not in desk.client(DOPPLER).COLUMNS


def test_creating_what_is_there_is_refused_and_leaves_it_alone(desk: Desk) -> None:
    """Somebody was quicker: their value stays."""
    first = desk.create("TWICE")
    with pytest.raises(SourceError):
        desk.create("TWICE")
    assert desk.row("TWICE")["id"] == first


def test_a_success_that_lists_failures_is_a_refusal(desk: Desk) -> None:
    """Vercel answers 201 and sets nothing."""
    with pytest.raises(Refused, match="VERCEL_THING is reserved"):
        desk.create("VERCEL_THING")


def test_an_edit_by_somebody_else_is_not_taken_for_ours(desk: Desk) -> None:
    """They kept our note in the comment; the value tells."""
    draft = variable.draft(desk.env, wished("FRESH_ONE", redeploy=False), desk.seen())
    assert draft is not None
    target, kind = draft.targets[0], desk.kind(draft)
    assert kind.observe(target).fits(target.before)
    identity = desk.create("FRESH_ONE", comment=f"opslib {MARK}")
    assert kind.observe(target).fits(target.after)
    desk.do(
        vercel_variable_acts.change(desk.project, identity, comment=f"opslib {MARK}", team=""),
        value="other-value-1",
    )
    assert not kind.observe(target).fits(target.after)
    assert "another value" in kind.observe(target).text


def test_only_the_planned_value_is_handed_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one, or none, is refused before anything is sent."""
    draft = variable.draft(desk.env, wished("FRESH_ONE", redeploy=False), desk.seen())
    assert draft is not None
    kind, target = desk.kind(draft), draft.targets[0]
    assert kind.secrets(target) == {"value": CANARY}
    monkeypatch.setenv("GIVEN", "quite-another-value")
    with pytest.raises(Refused, match="not the one that was planned"):
        kind.secrets(target)
    monkeypatch.delenv("GIVEN")
    with pytest.raises(Refused, match="given again"):
        kind.secrets(target)


def test_what_an_undo_will_need_is_kept_before_the_change(desk: Desk) -> None:
    """The former value of what can be read; without it there is no change either."""
    desk.create("KNOWN_ONE")
    draft = variable.draft(desk.env, wished("KNOWN_ONE", redeploy=False), desk.seen())
    assert draft is not None
    assert desk.kind(draft).keepsakes(draft.targets[0]) == {"before": CANARY}
    removing = variable.draft(desk.env, wished("KNOWN_ONE", delete=True, redeploy=False), desk.seen())
    assert removing is not None
    assert desk.kind(removing).keepsakes(removing.targets[0]) == {"before": CANARY}


def test_a_name_is_added_at_doppler_and_taken_away_only_while_it_has_that_value(desk: Desk) -> None:
    """Doppler's names have no times: the value is what tells."""
    draft = variable.draft(desk.env, wished("LINEAR_API_KEY", where=DOPPLER), desk.seen())
    assert draft is not None
    target, kind = draft.targets[0], desk.kind(draft)
    desk.do(_request(target.act), **kind.secrets(target))
    assert kind.observe(target).fits(target.after)
    with pytest.raises(SourceError, match="already exists"):
        desk.do(_request(target.act), value=CANARY)
    with pytest.raises(SourceError, match="not the expected one"):
        desk.do(_request(target.undo), before="somebody-else-s")
    back = target.reversed()
    assert back is not None
    desk.do(_request(back.act), **kind.secrets(back))
    assert kind.observe(target).fits(target.before)
    assert "DOPPLER_CONFIG" not in set(desk.client(DOPPLER).secret_names()["name"])
    assert list(desk.client(DOPPLER).logs(limit=2)["text"]) == ["Modified secrets: LINEAR_API_KEY"] * 2


def _request(act: Any) -> Request:
    assert isinstance(act, Request)
    return act


def test_an_act_at_doppler_names_the_value_only_by_its_label() -> None:
    """What a plan shows of it."""
    body = doppler_acts.create("klutr", "production", "A").body
    assert body["change_requests"][0]["value"] == {"secret": "value"}


@dataclass
class Terminal:
    """The command line.

    Args:
        archive: where records go.
        home: its `OPSLIB_HOME`.
        said: everything that was printed so far.
    """

    archive: Path
    home: Path
    said: str = ""

    def run(self, *words: str, value: str | None = CANARY) -> dict[str, Any]:
        """Run one command with a value on standard input; return its JSON."""
        more = ["--json", "--archive", str(self.archive), *(["--stdin"] if value else [])]
        out, err = self.performed([*words, *more], value or "")
        self.said += out + err
        document: dict[str, Any] = json.loads(out)
        return document

    def performed(self, words: list[str], value: str) -> tuple[str, str]:
        """Run a command; return what it prints."""
        done = CliRunner().invoke(cli, words, input=value)
        return done.stdout, done.stderr

    def plan(self, name: str, *words: str) -> str:
        """Make and approve a plan; return its digest."""
        document = self.run("plan", "env-vars", "--system", "klutr", "-p", f"name={name}", *words)
        digest = str(document["plan"]["digest"])
        self.run("approve", digest, "--reason", "a test", value=None)
        return digest


@dataclass
class Watched(Terminal):
    """The command line in processes of its own.

    Args:
        seen: command lines of all processes while one ran.
    """

    seen: str = ""

    def performed(self, words: list[str], value: str) -> tuple[str, str]:
        """Run a command; return what it prints."""
        with subprocess.Popen(
            [sys.executable, "-m", "opslib", *words], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            watcher = threading.Thread(target=self._look, args=(process,))
            watcher.start()
            out, err = process.communicate(value, timeout=120)
            watcher.join()
        return out, err

    def _look(self, process: subprocess.Popen[str]) -> None:
        while process.poll() is None and Path("/proc/self").exists():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen += path.read_bytes().decode(errors="replace")
                except OSError:
                    continue  # it has ended
            time.sleep(0.25)


@pytest.fixture
def terminal(
    desk: Desk, signer: object, sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Terminal:
    """A terminal of somebody who has a key."""
    monkeypatch.chdir(ROOT)
    # A command that is given an archive puts it into the environment: it is taken out again after the test.
    monkeypatch.setenv("OPSLIB_ARCHIVE", str(tmp_path))
    return Terminal(tmp_path, sandbox.home)


@pytest.fixture
def watched(terminal: Terminal) -> Watched:
    """The same, where every process is looked at."""
    return Watched(terminal.archive, terminal.home)


def writes(vendor: str = VERCEL) -> list[str]:
    """Return what has arrived at a vendor so far, without what changes from run to run."""
    with urllib.request.urlopen(
        f"{control.status()['vendors'][vendor]}/rehearsal/writes", timeout=10
    ) as answer:
        return [
            f"{row['method']} {row['path'].split('/')[-1][:11]} {row['status']}" for row in json.load(answer)
        ]


def failing(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the findings that are not ok, for the message of a failed test."""
    return [(f["key"], f["observed"], f["why"]) for f in document["findings"] if f["status"] != "ok"]


def states(document: dict[str, Any]) -> list[str]:
    """Return what became of the targets."""
    return [row["state"] for row in document["changed"]]


def test_a_missing_variable_is_set_and_live_and_its_value_nowhere(watched: Watched) -> None:
    """Fault, plan, approval, change, the same look, undo: and no trace of the value but where it belongs."""
    control.break_("env-var-missing", "klutr")
    before = writes()
    digest = watched.plan("NEON_DATABASE_URL")
    assert writes() == before
    after = watched.run("apply", digest)
    assert (after["verdict"], states(after)) == ("ok", ["done", "done"]), failing(after)
    assert writes()[len(before) :] == ["POST env 201", "POST deployments 200"]
    back = watched.run("undo", after["run_id"], value=None)
    assert (back["cause"]["id"], states(back)) == ("env-var-missing", ["done", "done"])
    kept = [path for root in (watched.archive, watched.home) for path in root.rglob("*") if path.is_file()]
    assert len(kept) > 10 and not [path for path in kept if CANARY.encode() in path.read_bytes()]
    assert CANARY not in watched.said + watched.seen
    assert "NEON_DATABASE_URL" in watched.said


def test_the_former_value_comes_back_from_an_encrypted_keepsake(terminal: Terminal, desk: Desk) -> None:
    """And the verdict after the undo is ok: what serves has that value."""
    identity = str(desk.row("OPENAI_API_KEY")["id"])
    former = desk.client(VERCEL).variable_value(identity)
    after = terminal.run("apply", terminal.plan("OPENAI_API_KEY"))
    assert after["verdict"] == "ok", failing(after)
    assert desk.client(VERCEL).variable_value(identity) == CANARY
    back = terminal.run("undo", after["run_id"], value=None)
    assert (back["verdict"], states(back)) == ("ok", ["done", "done"])
    assert desk.client(VERCEL).variable_value(identity) == former
    sealed = list((terminal.home / "keepsakes").rglob("*-before"))
    assert sealed and not [path for path in sealed if str(former).encode() in path.read_bytes()]
    assert former is not None and former not in terminal.said


def test_killed_after_the_deployment_was_asked_for_nothing_is_sent_twice(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is known by its mark, and waited for."""
    control.break_("env-var-missing", "klutr")
    digest, before = terminal.plan("NEON_DATABASE_URL"), writes()
    monkeypatch.setenv(faults.VARIABLE, "after-act:2")
    assert terminal.run("apply", digest)["verdict"] == "unknown"
    monkeypatch.delenv(faults.VARIABLE)
    after = terminal.run("apply", digest)
    assert after["verdict"] == "ok", failing(after)
    assert writes()[len(before) :] == ["POST env 201", "POST deployments 200"]


def test_a_variable_that_somebody_set_meanwhile_is_left_alone(terminal: Terminal, desk: Desk) -> None:
    """Nor is anything deployed for it."""
    digest = terminal.plan("MEANWHILE_SET")
    desk.create("MEANWHILE_SET", comment="by hand")
    before = writes()
    document = terminal.run("apply", digest)
    assert states(document) == ["left out", "not reached"] and writes() == before
    assert desk.row("MEANWHILE_SET")["comment"] == "by hand"


def test_a_deployment_that_breaks_the_site_is_taken_back_with_the_variable(
    terminal: Terminal, desk: Desk
) -> None:
    """The site worked before; now another variable is gone, which only the new build notices."""
    digest = terminal.plan("OPENAI_API_KEY")
    former = desk.client(VERCEL).variable_value(str(desk.row("OPENAI_API_KEY")["id"]))
    gone = desk.row("CRON_SECRET")
    desk.do(vercel_variable_acts.delete(desk.project, str(gone["id"]), team=""))
    try:
        document = terminal.run("apply", digest)
        assert states(document) == ["taken back", "taken back"], document["changed"]
        assert desk.client(VERCEL).variable_value(str(desk.row("OPENAI_API_KEY")["id"])) == former
        found = {f["key"]: f["status"] for f in document["findings"]}
        assert (found["answers:health"], found["required:vercel"]) == ("ok", "critical")
    finally:
        desk.create("CRON_SECRET")


def test_a_change_that_is_not_live_is_deployed_without_a_name(terminal: Terminal) -> None:
    """No value is asked for."""
    control.break_("env-not-live", "klutr")
    document = terminal.run("plan", "env-vars", "--system", "klutr", value=None)
    assert document["cause"]["id"] == "env-not-live", failing(document)
    assert len(document["plan"]["targets"]) == 1
    terminal.run("approve", document["plan"]["digest"], "--reason", "a test", value=None)
    after = terminal.run("apply", document["plan"]["digest"], value=None)
    assert (after["verdict"], states(after)) == ("ok", ["done"])


def _promote(desk: Desk) -> None:
    """Let new deployments serve again, which an instant rollback has ended; the oldest is sound."""
    frame = desk.client(VERCEL).deployments(limit=100)
    other = frame[~frame["current"].astype(bool)].iloc[-1]
    desk.do(vercel_acts.promote(desk.project, str(other["id"])))
    wait(lambda: desk.client(VERCEL).project().iloc[0]["last_request_state"] == "succeeded")


def _live(desk: Desk) -> Finding:
    """Say whether what serves has every value."""
    seen = desk.seen()
    return variables.live(desk.env, seen.vercel, seen.deployment)


def _deploy(desk: Desk) -> None:
    """Deploy again what serves, so that the next test finds a system that is well."""
    serving = desk.seen().deployment.iloc[0]
    desk.do(vercel_acts.redeploy(desk.project, str(serving["id"])))
    wait(lambda: _live(desk).status is Status.OK)
