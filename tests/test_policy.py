"""Who may change what: people known by their keys, and rules by environment and risk."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from opslib import config
from opslib.config import hours
from opslib.errors import ConfigError, Refused
from opslib.gate.plan import Risk
from opslib.keys import PublicKey
from tests import shop

ROOT = Path(__file__).parents[1]
RISKS = [str(risk) for risk in Risk]
OFFICE = "Mon-Fri 08:00-18:00 Europe/Berlin"


def key() -> str:
    """Return a new public key."""
    return PublicKey.of(Ed25519PrivateKey.generate().public_key()).text


ADA, BOB = key(), key()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> shop.Project:
    """A project without people and policy, whose system has four environments."""
    monkeypatch.chdir(tmp_path)
    project = shop.build(tmp_path, monkeypatch)
    path = tmp_path / "parameters" / "systems" / "shop.yml"
    more = "environments:\n  live: {}\n  staging: {production: false}\n"
    path.write_text(path.read_text().replace("environments:\n", more))
    return project


def write(project: shop.Project, name: str, text: str) -> None:
    """Write a file of the project's parameters."""
    (project.root / "parameters" / name).write_text(text, encoding="utf-8")


def people(project: shop.Project, text: str) -> config.People:
    """Return the people of a file."""
    write(project, "people.yml", text)
    return config.load_people()


def environment(name: str) -> config.Environment:
    """Return an environment of the shop."""
    return config.load_system("shop").environment(name)


def rule(where: str, risk: str = "high") -> config.Rule:
    """Return the rule that holds now."""
    return config.load_policy().rule(environment(where), risk)


def needs(where: str) -> list[str]:
    """Return what the four risks need."""
    return [rule(where, risk).need for risk in RISKS]


def at(text: str) -> datetime:
    """Return a moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def refused(kind: type[Exception], call: Callable[[], Any]) -> str:
    """Return what was said when something was refused."""
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value.text()) if isinstance(caught.value, ConfigError | Refused) else str(caught.value)


def test_what_we_ship_is_as_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is in it, and real users have a second pair of eyes on what is dangerous."""
    monkeypatch.setenv("OPSLIB_PARAMETERS", str(ROOT / "parameters"))
    assert config.load_people() == config.People()
    policy = config.load_policy()
    for name in config.list_systems():
        system = config.load_system(name)
        found = {
            env: [policy.rule(system.environment(env), risk).need for risk in RISKS]
            for env in system.environment_names
        }
        assert found["sandbox"] == ["none", "self", "self", "break-glass"]
        assert found["production"] == ["self", "self", "other", "break-glass"]
        assert policy.rule(system.environment("production"), "high").open_at(at("2026-11-21T03:00"))


def test_without_files_nobody_may_and_the_strictest_rules_hold(project: shop.Project) -> None:
    """A forgotten file opens nothing; a rehearsal goes on."""
    assert not list(config.load_people())
    for name in ("production", "live", "staging"):
        assert needs(name) == ["other", "other", "other", "break-glass"], name
    assert needs("sandbox") == ["none", "self", "self", "break-glass"]
    assert (rule("live").maximum_targets, rule("live").expires_minutes) == (50, 30)


def test_what_a_part_leaves_out_is_the_strictest_too(project: shop.Project) -> None:
    """Naming an environment to change one bound loosens nothing else."""
    write(
        project,
        "policy.yml",
        "environments:\n  staging: {low: none}\n  sandbox: {high: other}\n  default: {high: none}\n",
    )
    assert needs("staging") == ["none", "other", "other", "break-glass"]
    assert needs("sandbox") == ["none", "self", "other", "break-glass"]


def test_real_users_are_protected_whatever_their_environment_is_called(project: shop.Project) -> None:
    """`live` goes by production's rules until it is named itself; `staging` by the default's."""
    both = "environments:\n  production: {high: other}\n  default: {high: none}\n"
    write(project, "policy.yml", both)
    assert [rule(name).environment for name in ("live", "staging", "production")] == [
        "production", "default", "production",
    ]  # fmt: skip
    assert [rule(name).need for name in ("live", "staging")] == ["other", "none"]
    write(project, "policy.yml", f"{both}  live: {{high: self}}\n")
    assert (rule("live").environment, rule("live").need) == ("live", "self")


def test_bounds_are_read_as_they_stand(project: shop.Project) -> None:
    """Each figure arrives where it is needed."""
    write(
        project,
        "policy.yml",
        "environments:\n  production:\n    expires_minutes: 7\n    approval_minutes: 8\n"
        f"    maximum_targets: 9\n    undo_hours: 10\n    hours: {{high: {OFFICE}}}\n",
    )
    found = rule("production")
    assert (found.expires_minutes, found.approval_minutes) == (7, 8)
    assert (found.maximum_targets, found.undo_hours, found.hours) == (9, 10, OFFICE)
    assert found.risk == "high"


@pytest.mark.parametrize(
    ("line", "place", "said"),
    [
        ("production: {hihg: self}", "3: environments.production.hihg", "did you mean high?"),
        ("production: {break_glass: other}", "3: environments.production.break_glass", "break-glass?"),
        ("production: {high: nobody}", "3: environments.production.high", "must be one of 'none'"),
        ("production: {high: }", "3: environments.production.high", "must be one of"),
        ("production: {expires_minutes: 0}", "3: environments.production.expires_minutes", "greater than"),
        ("production: {expires_minutes: 90000}", "3: environments.production.expires_minutes", "1440"),
        ("production: {maximum_targets: true}", "3: environments.production.maximum_targets", "whole number"),
        ("prodution: {high: self}", "3: environments.prodution", "did you mean production?"),
        ("production: {break-glass: self}", "3: environments.production.break-glass", "`other`"),
        ("staging: {break-glass: none}", "3: environments.staging.break-glass", "`break-glass`"),
        ("production: {hours: {break-glass: x}}", "3: environments.production.hours.break-glass", "medium"),
        ("production: {hours: {high: always}}", "3: environments.production.hours.high", OFFICE),
        ("production: [self]", "3: environments.production", "must be a mapping"),
    ],
)
def test_a_wrong_policy_is_named_with_its_line(
    project: shop.Project, line: str, place: str, said: str
) -> None:
    """A rule that was misread would be worse than none."""
    write(project, "policy.yml", f"# who must agree\nenvironments:\n  {line}\n")
    text = refused(ConfigError, config.load_policy)
    assert f"policy.yml:{place}:" in text and said in text, text


def test_a_risk_that_nobody_knows_is_refused(project: shop.Project) -> None:
    """It must not fall through to the mildest."""
    assert "no risk 'hours'" in refused(Refused, lambda: rule("production", "hours"))


@pytest.mark.parametrize(
    ("text", "moment", "is_open"),
    [
        (OFFICE, "2026-11-20T07:00", True),  # Friday, 08:00 in Berlin
        (OFFICE, "2026-11-20T06:59", False),
        (OFFICE, "2026-11-20T16:59", True),
        (OFFICE, "2026-11-20T17:00", False),  # the end is no longer in it
        (OFFICE, "2026-11-21T10:00", False),  # Saturday
        (OFFICE, "2026-07-17T06:00", True),  # summer time
        (OFFICE, "2026-07-17T16:30", False),
        ("Fri 22:00-06:00 UTC", "2026-11-20T23:00", True),
        ("Fri 22:00-06:00 UTC", "2026-11-21T05:59", True),  # it began on Friday
        ("Fri 22:00-06:00 UTC", "2026-11-20T05:00", False),
        ("Fri 22:00-06:00 UTC", "2026-11-21T22:00", False),
        ("Sat-Mon 00:00-24:00 UTC", "2026-11-22T23:59", True),
        ("Sat-Mon 00:00-24:00 UTC", "2026-11-24T00:00", False),
        ("08:00-09:00 UTC", "2026-11-22T08:30", True),
        ([OFFICE, "Sat 10:00-12:00 UTC"], "2026-11-21T11:00", True),
        ([OFFICE, "Sat 10:00-12:00 UTC"], "2026-11-21T12:00", False),
    ],
)
def test_hours_are_those_on_the_wall(text: Any, moment: str, is_open: bool) -> None:
    """In their time zone, with summer time, past midnight and over the week's end."""
    assert hours.Hours.parse(text).open_at(at(moment)) is is_open


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Mon-Fri 08:00-18:00", "must be hours such as"),
        ("Mon-Fri 8-18 UTC", "must be hours such as"),
        ("Mun-Fri 08:00-18:00 UTC", "Mun is no day of the week"),
        ("Mon-Fri 08:00-18:60 UTC", "18:60 is no time of the day"),
        ("Mon-Fri 08:00-25:00 UTC", "25:00 is no time of the day"),
        ("08:00-08:00 UTC", "all day is 00:00-24:00"),
        ("08:00-18:00 Europe/Berln", "did you mean Europe/Berlin?"),
        ([], "or a list of them"),
        ([8], "or a list of them"),
        (None, "or a list of them"),
    ],
)
def test_hours_that_mean_nothing_are_refused(text: Any, said: str) -> None:
    """An hour that never comes would lock everybody out."""
    assert said in refused(ValueError, lambda: hours.Hours.parse(text))


def test_hours_hold_for_their_risk_only(project: shop.Project) -> None:
    """What takes a system down can be stopped at 3 am, whatever the hours say."""
    write(project, "policy.yml", f"environments:\n  production: {{hours: {{high: {OFFICE}}}}}\n")
    night = at("2026-11-21T03:00")
    assert [rule("production", risk).open_at(night) for risk in RISKS] == [True, True, False, True]


def test_a_key_says_who_somebody_is(project: shop.Project) -> None:
    """What stands behind the key in the file does not; rights not given are not there."""
    known = people(
        project,
        f"people:\n- {{id: ada, name: Ada, keys: ['{ADA} bob@laptop']}}\n"
        f"- {{id: bob, name: Bob, may: [apply], keys: [{BOB}]}}\n",
    )
    ada, bob = (known.by_key(text, at("2026-11-21T03:00")) for text in (f"{ADA} whatever", BOB))
    assert (ada.id, bob.id) == ("ada", "bob")
    ada.must("approve")
    assert "bob may not approve" in refused(Refused, lambda: bob.must("approve"))
    assert "ada may not break the glass" in refused(Refused, lambda: ada.must("break-glass"))


def test_an_unknown_key_is_nobody_and_says_what_to_add(project: shop.Project) -> None:
    """With the fingerprint, to be compared."""
    said = refused(Refused, lambda: config.load_people().by_key(ADA, at("2026-11-21T03:00")))
    assert PublicKey(ADA).fingerprint in said and "opslib keys show" in said


@pytest.mark.parametrize(
    ("dates", "moment", "said"),
    [
        ("since: 2026-11-20, until: 2026-11-21", "2026-11-20T00:00", ""),
        ("since: 2026-11-20, until: 2026-11-21", "2026-11-21T23:59", ""),
        ("since: 2026-11-20, until: 2026-11-21", "2026-11-22T00:00", "ended on 2026-11-21"),
        ("since: 2026-11-20, until: 2026-11-21", "2026-11-19T23:59", "begins on 2026-11-20"),
    ],
)
@pytest.mark.parametrize("on", ["key", "person"])
def test_a_key_counts_from_its_first_day_to_its_last(
    project: shop.Project, dates: str, moment: str, said: str, on: str
) -> None:
    """Who has left, and the laptop that was lost, can no longer approve; their old signatures keep a name."""
    entry = f"{{key: {ADA}, {dates}}}" if on == "key" else ADA
    known = people(
        project,
        f"people:\n- {{id: ada, name: Ada, keys: [{entry}]{f', {dates}' if on == 'person' else ''}}}\n",
    )
    if not said:
        assert known.by_key(ADA, at(moment)).id == "ada"
        return
    text = refused(Refused, lambda: known.by_key(ADA, at(moment)))
    assert said in text and ("the key of ada" in text) is (on == "key")


@pytest.mark.parametrize(
    ("second", "place", "said"),
    [
        (
            f"- {{id: bob, name: Bob, keys: [{ADA}]}}",
            "3: people.1.keys.0",
            "the key is on line 2 too, for ada",
        ),
        (f"- {{id: bob, name: B, keys: [{{key: {ADA}}}]}}", "3: people.1.keys.0", "for ada"),
        (f"- {{id: ada, name: Ada, keys: [{BOB}]}}", "3: people.1.id", "the id is on line 2 too"),
        (f"- {{id: bob, name: Bob, keys: [{BOB}, {BOB}]}}", "3: people.1.keys.1", "for bob"),
        (f"- {{id: bob, name: Bob, key: [{BOB}]}}", "3: people.1.key", "did you mean keys?"),
        ("- {id: bob, name: Bob}", "3: people.1.keys", "this key is missing"),
        ("- {id: bob, name: Bob, keys: []}", "3: people.1.keys", "at least 1 item"),
        ("- {id: bob, name: Bob, keys: [hello]}", "3: people.1.keys.0", "this is no public key"),
        ("- {id: bob, name: Bob, keys: [ssh-rsa AAAA]}", "3: people.1.keys.0", "of the kind ssh-rsa"),
        (f"- {{id: bob, name: Bob, keys: {BOB}}}", "3: people.1.keys", "must be a list"),
        (f"- {{id: Bob, name: Bob, keys: [{BOB}]}}", "3: people.1.id", "small letters"),
        (f"- {{id: you, name: Bob, keys: [{BOB}]}}", "3: people.1.id", "'you' is taken"),
        (f"- {{id: bob, name: Bob, keys: [{BOB}], may: [aprove]}}", "3: people.1.may.0", "must be one of"),
        (f"- {{id: bob, name: Bob, keys: [{BOB}], until: soon}}", "3: people.1.until", "2026-11-30"),
        (
            f"- {{id: bob, name: Bob, keys: [{{key: {BOB}, utnil: 2026-01-01}}]}}",
            "3: people.1.keys.0.utnil",
            "did you mean until?",
        ),
        (
            f"- {{id: bob, name: Bob, keys: [{BOB}], since: 2026-02-01, until: 2026-01-01}}",
            "3: people.1",
            "before it begins",
        ),
    ],
)
def test_wrong_people_are_named_with_their_line(
    project: shop.Project, second: str, place: str, said: str
) -> None:
    """One key for two people would make four eyes two."""
    text = refused(
        ConfigError, lambda: people(project, f"people:\n- {{id: ada, name: A, keys: [{ADA}]}}\n{second}\n")
    )
    assert f"people.yml:{place}:" in text and said in text, text


def test_a_private_key_pasted_by_mistake_is_not_repeated(project: shop.Project) -> None:
    """It is lost; the message must not spread it."""
    lines = "      -----BEGIN OPENSSH PRIVATE KEY-----\n      c2VjcmV0\n"
    text = refused(
        ConfigError, lambda: people(project, f"people:\n- id: ada\n  name: Ada\n  keys:\n    - |\n{lines}")
    )
    assert "people.yml:5" in text and "this is a private key" in text and "c2VjcmV0" not in text


def test_a_rehearsal_needs_no_line_in_the_file(project: shop.Project) -> None:
    """In the sandbox an unknown key is "you"; nowhere else, and not for somebody whose key has ended."""
    nobody, now = config.load_people(), at("2026-11-21T03:00")
    you = nobody.rehearsing(environment("sandbox"), ADA).by_key(ADA, now)
    assert (you.id, you.name) == ("you", "you (rehearsal)")
    you.must("break-glass")
    for name in ("production", "live", "staging"):
        assert nobody.rehearsing(environment(name), ADA) is nobody
    known = people(project, f"people:\n- {{id: ada, name: A, keys: [{{key: {ADA}, until: 2026-01-01}}]}}\n")
    assert known.rehearsing(environment("sandbox"), ADA) is known
    assert "ended" in refused(Refused, lambda: known.by_key(ADA, now))


def test_a_broken_file_of_people_lets_nobody_in(project: shop.Project) -> None:
    """It must not count as one without people, in which a rehearsal goes on."""
    assert "people.yml:1" in refused(ConfigError, lambda: people(project, "people: ["))
    assert "the file is empty" in refused(ConfigError, lambda: people(project, ""))
