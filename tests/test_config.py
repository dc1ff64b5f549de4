"""Reading `parameters/`: what is right becomes typed, what is wrong is named with file and line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from opslib import config
from opslib.config import scaffold
from opslib.errors import ConfigError, OpsError, ParameterError, UnknownName

GOOD = """\
title: Shop
owner: me
environments:
  production:
    base_url: https://shop.example/
    database:
      direct: env:SHOP_DATABASE_URL
"""
SLOT = 'slots:\n  - {id: a, routine: daily, system: shop, cron: "0 6 * * *", owner: me}\n'
DAILY = """\
routines:
  daily:
    source: our list
    items:
      - {id: health, title: Is it well, procedure: health-check}
"""

Write = Callable[[str | bytes], Path]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, which is the working directory."""
    (tmp_path / "parameters" / "systems").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPSLIB_PARAMETERS", raising=False)
    monkeypatch.setenv("OPSLIB_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture
def shop(project: Path) -> Write:
    """Write the system `shop`."""

    def write(text: str | bytes) -> Path:
        path = project / "parameters" / "systems" / "shop.yml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def complaint(kind: type[OpsError], load: Callable[[], object]) -> str:
    """Return what is said when loading fails."""
    with pytest.raises(kind) as caught:
        load()
    assert caught.value.exit_code == 64
    text = caught.value.text()
    assert "→" in text, "there is a next step"
    assert "pydantic" not in text and "Traceback" not in text
    assert caught.value.__cause__ is None, "no foreign error below it"
    return text


def test_a_minimal_system_is_read(shop: Write) -> None:
    """Title, owner and one environment are enough; everything else has a default."""
    shop(GOOD)
    env = config.load_system("shop").environment("production")
    assert (env.base_url, env.production, env.attached) == ("https://shop.example", True, True)
    assert [(door.name, door.pooled) for door in env.doors] == [("direct", False)]
    assert env.limit("connections_pct").source == "opslib default"


@pytest.mark.parametrize(
    ("more", "line", "words"),
    [
        ("limts: {}\n", 8, ("limts: unknown key", "did you mean limits?")),
        ("limits:\n  response_ms:\n    warnin: 5\n", 10, ("limits.response_ms.warnin", "warning?")),
        ("limits:\n  response_ms:\n    warning: soon\n", 10, ("warning: must be a number",)),
        ("limits:\n  response_ms:\n    warning: yes\n", 10, ("warning: must be a number",)),
        ("limits:\n  respons_ms: {warning: 4}\n", 9, ("no such limit", "response_ms?")),
        ("limits:\n  response_ms: {warning: 9, critical: 3}\n", 9, ("swapped", "lower is better")),
        ("limits:\n  tls_days: {warning: 9, critical: 30}\n", 9, ("swapped", "higher is better")),
        ("limits:\n  response_ms: {unit: ms}\n", 9, ("`warning`, `critical`, or both",)),
        ("health:\n  - {name: a, path: api}\n", 9, ("health.0.path: must be a path",)),
        ("health:\n  - path: /\n", 9, ("health.0.name: this key is missing",)),
        ("health: {name: a}\n", 8, ("must be a list",)),
        ("vendors:\n  vercell: {}\n", 9, ("knows no such vendor", "vercel?")),
        ("runbook: 5\n", 8, ("runbook: must be text",)),
        ("contacts:\n", 8, ("has no value",)),
        ("title: Again\n", 8, ("title: the key is given twice (first on line 1)",)),
        ("\trunbook: x\n", 8, ("indented with a tab", "spaces")),
        ("health:\n\t- {name: a}\n", 9, ("indented with a tab",)),
        (" runbook: x\n", 8, ("not YAML", "indentation")),
        ("---\ntitle: x\n", 8, ("second document",)),
        ("runbook: *x\n", 8, ("begins with *", "quotes")),
        ("runbook: !x y\n", 8, ("begins with !", "quotes")),
        ("facts: {a: {value: {b: 1}, source: x}}\n", 8, ("facts.a.value: must be one value",)),
        ("name: other\n", 8, ("the file is called shop.yml",)),
        (DAILY.replace(", procedure: health-check", ""), 12, ("`procedure: <id>`, or `by: person`",)),
        (DAILY.replace("procedure: h", "by: person, procedure: h"), 12, ("has no procedure",)),
        (DAILY + "      - {id: health, title: Again, by: person}\n", 11, ("two items have the id health",)),
    ],
)
def test_a_wrong_file_is_named_with_line_key_and_way_out(
    shop: Write, more: str, line: int, words: tuple[str, ...]
) -> None:
    """At night nobody searches a file of three hundred lines."""
    shop(GOOD + more)
    said = complaint(ConfigError, lambda: config.load_system("shop"))
    assert said.startswith(f"parameters/systems/shop.yml:{line}: "), said
    for word in words:
        assert word in said, said


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "shop.yml:1: the file is empty"),
        ("# only a comment\n", "shop.yml:1: the file is empty"),
        ("- a\n- b\n", "shop.yml:1: the file must be a mapping"),
        ("hello\n", "shop.yml:1: the file must be a mapping"),
        (b"title: x\nowner: \xff\xfe\n", "shop.yml:2: the file is not UTF-8"),
        ("title: [a\n", "shop.yml:1: this is not YAML"),
        ("title: a\x00b\n", "shop.yml:1: the file is not YAML"),
        ("title: x\nowner: me\n", "shop.yml:1: environments: this key is missing"),
        ("title: x\nowner: me\nenvironments: {}\n", "shop.yml:3: environments: a system has at least one"),
        (GOOD.replace("production:", "sandbox:"), "shop.yml:4: environments.sandbox: the sandbox is always"),
        (GOOD.replace("https://shop", "shop"), "shop.yml:5: environments.production.base_url: must be an"),
        (GOOD.replace("//shop", "//me:secret1@shop"), "shop.yml:5: environments.production.base_url: this"),
        (GOOD.replace("//shop", "//secret1@shop"), "shop.yml:5: environments.production.base_url: this"),
        ("a: &x [*x]\n", "shop.yml:1: a.0: the value contains itself"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_system_is_refused_whole(shop: Write, content: str | bytes, words: str) -> None:
    """Empty, binary, cut off, or something else than a mapping."""
    shop(content)
    said = complaint(ConfigError, lambda: config.load_system("shop"))
    assert words in said, said
    assert "secret1" not in said


def test_several_faults_are_named_at_once(shop: Write) -> None:
    """Mending one fault a run would cost a run for each."""
    shop(GOOD + "limts: {}\nhealth: 5\n")
    said = complaint(ConfigError, lambda: config.load_system("shop"))
    assert "shop.yml:8: limts" in said and "shop.yml:9: health" in said


@pytest.mark.parametrize(
    "value", ["hunter2-hunter2", "postgres://app:hunter2-hunter2@db/x", "*hunter2-hunter2",
              "!hunter2-hunter2", "env:hunter2-hunter2", "host=db password=hunter2-hunter2"],
)  # fmt: skip
def test_a_secret_written_into_the_file_is_refused_and_not_repeated(shop: Write, value: str) -> None:
    """The message ends up in a terminal, a log and a ticket."""
    shop(GOOD.replace("env:SHOP_DATABASE_URL", value))
    said = complaint(ConfigError, lambda: config.load_system("shop"))
    assert "shop.yml:7" in said
    assert "hunter2" not in said


REMOTE = """\
vendors:
  github:
    settings:
      remote: {}
"""


@pytest.mark.parametrize(
    "remote",
    ["https://me:hunter2@git.example/x.git", "https://hunter2hunter2@git.example/x.git", "HTTPS://hunter2@x/y",
     "https://me:hun/hunter2@git.example/x.git", "ssh://git:hunter2@git.example/x.git"],
)  # fmt: skip
def test_a_password_in_the_address_of_a_remote_is_refused_and_not_repeated(shop: Write, remote: str) -> None:
    """git would send it, and backup-check show it."""
    shop(GOOD + REMOTE.format(remote))
    said = complaint(ConfigError, lambda: config.load_system("shop"))
    assert "shop.yml:11: vendors.github.settings.remote: this looks like a password" in said
    assert "hunter2" not in said and "credential helper" in said


@pytest.mark.parametrize(
    "remote",
    ["https://git.example/x.git", "https://git.example:8443/@scope/x.git", "git@git.example:acme/x.git",
     "ssh://git@git.example:2222/x.git", "/srv/git/x@1.git"],
)  # fmt: skip
def test_an_address_without_a_password_is_taken(shop: Write, remote: str) -> None:
    """Also with a port, or a sign in its path."""
    shop(GOOD + REMOTE.format(remote))
    env = config.load_system("shop").environment("production")
    assert env.vendors["github"].settings["remote"] == remote


def test_a_token_is_refused_wherever_it_stands(shop: Write) -> None:
    """A token in a note is as lost as one in its own key."""
    shop(GOOD + "runbook: use sk_live_abcdefgh12345678 for it\n")
    said = complaint(ConfigError, lambda: config.load_system("shop"))
    assert "shop.yml:8: runbook: this looks like a password or a token" in said
    assert "abcdefgh" not in said


def test_what_yaml_likes_to_change_stays_as_it_was_written(shop: Write) -> None:
    """`08:00` is no number of seconds, `no` is no truth value, a date is text."""
    shop(GOOD + "review: {updated: 2025-01-16}\nchannels: {ops: no, at: 08:00}\n")
    system = config.load_system("shop")
    assert system.review.updated == "2025-01-16"
    assert system.channels == {"ops": "no", "at": "08:00"}


def test_an_accepted_answer_may_be_one_value_or_several(shop: Write) -> None:
    """JSON's own values are spelled as JSON spells them."""
    shop(GOOD + "health:\n  - {name: a, path: /h, expect: {status: ok, up: true, n: [1, 2]}, status: 204}\n")
    (endpoint,) = config.load_system("shop").environment("production").health
    assert endpoint.url == "https://shop.example/h"
    assert endpoint.expect == {"status": ["ok"], "up": ["true"], "n": ["1", "2"]}
    assert endpoint.status_codes == (204,) and endpoint.json


def test_a_limit_of_the_system_replaces_ours_whole_but_keeps_the_unit(shop: Write) -> None:
    """A runbook's warning beside a critical of ours would hide who said what."""
    shop(
        GOOD + "limits: {response_ms: {warning: 500, source: here}, queue_depth: {critical: 9, unit: jobs}}\n"
    )
    env = config.load_system("shop").environment("production")
    limit = env.limit("response_ms")
    assert (limit.warning, limit.critical, limit.unit, limit.source) == (500, None, "ms", "here")
    assert env.limit("queue_depth").critical == 9
    with pytest.raises(UnknownName, match="response_msec"):
        env.limit("response_msec")


def test_an_environment_may_have_limits_and_settings_of_its_own(shop: Write) -> None:
    """Staging is slower, and has another project at the vendor."""
    shop(
        GOOD + "  staging:\n    production: false\n    limits: {response_ms: {warning: 9000}}\n"
        "    vendors: {vercel: {settings: {project: shop-staging}}}\n"
        "vendors: {vercel: {settings: {project: shop, team: '[TEAM]'}, token: env:VERCEL_TOKEN}}\n"
    )
    system = config.load_system("shop")
    staging, production = system.environment("staging"), system.environment("production")
    assert (staging.limit("response_ms").warning, staging.limit("response_ms").unit) == (9000, "ms")
    assert production.limit("response_ms").source == "opslib default"
    assert staging.vendors["vercel"].settings == {"project": "shop-staging"}, "a placeholder is no setting"
    assert staging.vendors["vercel"].status_url == "https://www.vercel-status.com"
    assert not staging.production and production.vendors["vercel"].settings == {"project": "shop"}
    assert ("vendors.vercel.settings.team", "[TEAM]") in system.placeholders()


def test_unknown_names_are_answered_with_those_there_are(shop: Write) -> None:
    """The nearest name comes with it."""
    shop(GOOD + DAILY)
    assert "did you mean shop?" in complaint(UnknownName, lambda: config.load_system("shpo"))
    assert "there is: shop" in complaint(UnknownName, lambda: config.load_system("../secret"))
    system = config.load_system("shop")
    said = complaint(UnknownName, lambda: system.environment("prod"))
    assert "production, sandbox" in said and "did you mean production?" in said
    assert "did you mean daily?" in complaint(UnknownName, lambda: system.routine("dayly"))


def test_a_file_with_the_other_ending_is_noticed(project: Path, shop: Write) -> None:
    """`.yaml` looks right and is not read."""
    shop(GOOD).rename(project / "parameters" / "systems" / "shop.yaml")
    assert "shop.yaml, renamed to shop.yml" in complaint(UnknownName, lambda: config.load_system("shop"))


def test_a_routine_knows_its_name_and_where_its_items_come_from(shop: Write) -> None:
    """The checklist shows both."""
    shop(GOOD + DAILY)
    routine = config.load_system("shop").routine("daily")
    assert routine.name == "daily"
    assert [(i.id, i.by, i.source) for i in routine.items] == [("health", "procedure", "our list")]


def test_a_file_that_cannot_be_read_says_why(project: Path, shop: Write) -> None:
    """A folder in its place, or no right to read it."""
    (project / "parameters" / "systems" / "folder.yml").mkdir()
    with pytest.raises(ConfigError, match=r"folder\.yml: the file cannot be read: is a directory"):
        config.load_system("folder")
    path = shop(GOOD)
    path.chmod(0)
    if os.geteuid():  # root reads everything
        with pytest.raises(ConfigError, match=r"shop\.yml: the file cannot be read: permission denied"):
            config.load_system("shop")


def test_parameters_are_found_upward_or_where_the_variable_points(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A notebook runs in its own folder; a container sets the variable."""
    deep = project / "notebooks" / "diagnose"
    deep.mkdir(parents=True)
    assert config.find_parameters(deep) == project / "parameters"
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    assert "opslib system new" in complaint(ConfigError, config.find_parameters)
    monkeypatch.setenv("OPSLIB_PARAMETERS", str(project / "parameters"))
    assert config.find_parameters() == project / "parameters"
    monkeypatch.setenv("OPSLIB_PARAMETERS", str(elsewhere))
    assert "OPSLIB_PARAMETERS names" in complaint(ConfigError, config.find_parameters)


def test_a_schedule_is_read_with_what_stands_above_its_slots(project: Path, shop: Write) -> None:
    """Owner, zone and environment are written once; the sandbox is the default."""
    shop(GOOD + DAILY)
    assert config.load_schedule() == ()
    above = "owner: ops\ntimezone: Europe/Berlin\ncatch_up: skip\n"
    (project / "parameters" / "schedule.yml").write_text(above + SLOT.replace(", owner: me", ""))
    (slot,) = config.load_schedule()
    assert (slot.owner, slot.timezone, slot.catch_up, slot.environment) == (
        "ops",
        "Europe/Berlin",
        "skip",
        "sandbox",
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("0 6 * * *", "0 6 * *", "slots.0.cron: a cron line has five fields"),
        ("0 6 * * *", "0 25 * * *", "slots.0.cron: not a cron line: bad hour"),
        ("0 6 * * *", "0 6 31 2 *", "slots.0.cron: "),
        ("owner: me", "owner: me, timezone: Europe/Berln", "did you mean Europe/Berlin?"),
        ("owner: me", "owner: me, procedure: health-check", "either `procedure` or `routine`"),
        ("routine: daily, ", "", "either `procedure` or `routine`"),
        ("routine: daily", "routine: dayly", "'dayly' is no routine of shop"),
        ("system: shop", "system: shpo", "'shpo' is no system"),
        ("owner: me", "owner: me, environment: prod", "'prod' is no environment of shop"),
        (", owner: me", "", "slots.0.owner: this key is missing"),
        ("owner: me", "owner: me, catch_up: all", "must be one of 'last' or 'skip'"),
        ("owner: me", "owner: me, crno: x", "did you mean cron?"),
    ],
)
def test_a_wrong_slot_is_named_with_its_line(
    project: Path, shop: Write, old: str, new: str, words: str
) -> None:
    """A slot that never runs is found when it is written, not when it is missed."""
    shop(GOOD + DAILY)
    (project / "parameters" / "schedule.yml").write_text(SLOT.replace(old, new))
    said = complaint(ConfigError, config.load_schedule)
    assert said.startswith("parameters/schedule.yml:2: slots.0") and words in said, said


def test_two_slots_cannot_share_an_id(project: Path, shop: Write) -> None:
    """The archive tells runs of slots apart by it."""
    shop(GOOD + DAILY)
    (project / "parameters" / "schedule.yml").write_text(SLOT + SLOT.splitlines()[1] + "\n")
    assert "schedule.yml:3: slots.0" not in (said := complaint(ConfigError, config.load_schedule))
    assert "schedule.yml:3: slots.1.id: a is the id of the slot on line 2 too" in said


def test_a_new_system_loads_and_says_only_what_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder without any parameters too."""
    monkeypatch.delenv("OPSLIB_PARAMETERS", raising=False)
    path = scaffold.new_system("my-shop", "https://shop.example/", "DATABASE_URL", tmp_path)
    assert path == tmp_path / "parameters" / "systems" / "my-shop.yml"
    env = config.load_system("my-shop", tmp_path).environment("production")
    assert [(e.url, e.status_codes, e.expect) for e in env.health] == [("https://shop.example/", (200,), {})]
    assert [door.dsn.reference for door in env.doors] == ["env:DATABASE_URL"]
    assert env.system.routine("daily").items[0].procedure == "health-check"
    scaffold.new_system("nothing-known", root=tmp_path / "parameters")
    assert config.load_system("nothing-known", tmp_path).environment("production").doors == ()
    assert config.list_systems(tmp_path) == ("my-shop", "nothing-known")


def test_what_a_new_system_explains_in_comments_is_right(tmp_path: Path) -> None:
    """Every commented example can be uncommented as it stands."""
    path = scaffold.new_system("my-shop", "https://shop.example", "DATABASE_URL", tmp_path)
    example = r"^#(?: (?=[a-z]+:$|  - \{|  \w+: \{)|(?=      - \{|  - name|    path|    expect))"
    path.write_text(
        re.sub(example, "", path.read_text(encoding="utf-8"), flags=re.MULTILINE), encoding="utf-8"
    )
    system = config.load_system("my-shop", tmp_path)
    assert system.smoke and system.vendors and system.required_env and system.contacts
    assert system.health[1].expect["status"] == ["ok", "healthy"]
    assert system.environment("production").limit("response_ms").warning == 500
    assert system.routine("daily").items[-1].by == "person"


@pytest.mark.parametrize(
    ("name", "url", "dsn_env", "words"),
    [
        ("My Shop", None, None, "cannot be the name of a system"),
        ("../shop", None, None, "cannot be the name of a system"),
        ("shop", "ftp://x", None, "--url must be an address"),
        ("shop", "https://me:hunter2@x", None, "--url an address must not hold"),
        ("shop", None, "postgres://me:hunter2@db/x", "--dsn-env must be the name"),
    ],
)
def test_a_new_system_is_refused_before_anything_is_written(
    tmp_path: Path, name: str, url: str | None, dsn_env: str | None, words: str
) -> None:
    """And a password given by mistake is not repeated."""
    said = complaint(ParameterError, lambda: scaffold.new_system(name, url, dsn_env, tmp_path))
    assert words in said and "hunter2" not in said
    assert list(tmp_path.iterdir()) == []


def test_a_system_that_exists_is_never_overwritten(project: Path, shop: Write) -> None:
    """It may hold an afternoon's work."""
    path = shop(GOOD)
    assert "exists already" in complaint(ConfigError, lambda: scaffold.new_system("shop", root=project))
    assert path.read_text() == GOOD


def test_reading_a_system_pulls_in_nothing_heavy() -> None:
    """`opslib list` must answer at once."""
    program = (
        "import sys; from opslib import config\n"
        "assert 'pydantic' not in sys.modules\n"
        "config.load_schedule(); config.load_system('kulti').environment('sandbox')\n"
        "heavy = {'pandas', 'matplotlib', 'httpx', 'psycopg', 'papermill', 'IPython', 'requests'}\n"
        "sys.exit(','.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
