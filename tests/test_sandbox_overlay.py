"""The environment `sandbox`: production's shape, and nothing of production's addresses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from opslib import config
from opslib.errors import ConfigError

ROOT = Path(__file__).parents[1]
STATE: dict[str, Any] = {
    "pid": os.getpid(),
    "control": "http://127.0.0.1:1",
    "token": "control-token",
    "databases": {"kulti": {"admin": "postgresql://a", "app": "postgresql://b", "monitor": "postgresql://c"}},
    "apps": {"kulti": "http://127.0.0.1:9"},
    "names": {"kulti": "http://kulti.sandbox.test:9/"},
    "vendors": {"vercel": "http://127.0.0.1:8/vercel"},
    "status_pages": {"vercel": "http://127.0.0.1:8/vercel/status-page"},
    "resolver": "127.0.0.1:53",
    "vendor_settings": {"vercel": {"token": "vercel-token", "project": {"kulti": "prj_1", "klutr": "prj_2"}}},
}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the sandbox says that it is up; not there yet."""
    monkeypatch.setenv("OPSLIB_HOME", str(tmp_path))
    (tmp_path / "sandbox").mkdir()
    return tmp_path / "sandbox" / "state.json"


def sandbox(system: str) -> config.Environment:
    """Return the system's sandbox environment."""
    return config.load_system(system, ROOT).environment("sandbox")


@pytest.mark.parametrize("system", config.list_systems(ROOT))
def test_nothing_of_production_is_left_in_it(state: Path, system: str) -> None:
    """Up or not: a rehearsal must not reach a real address or a real token."""
    for content in (None, json.dumps(STATE)):
        if content:
            state.write_text(content)
        env = sandbox(system)
        urls = [env.base_url or "", *(e.url for e in (*env.health, *env.smoke))]
        urls += [url for vendor in env.vendors.values() for url in (vendor.api_url, vendor.status_url)]
        assert all(url == "" or "127.0.0.1" in url or ".sandbox.test" in url for url in urls)
        assert all(secret.reference.startswith("literal:") for secret in env.secrets())
        assert not env.production


def test_without_a_sandbox_it_loads_and_is_not_attached(state: Path) -> None:
    """`opslib list` and `doctor` need no sandbox."""
    env = sandbox("kulti")
    assert (env.attached, env.base_url, env.doors, env.resolver) == (False, None, (), None)
    assert env.limit("errors_per_hour").warning == 50


def test_with_a_sandbox_it_has_its_addresses(state: Path) -> None:
    """By name through the sandbox's resolver, into the database as the monitoring role."""
    state.write_text(json.dumps(STATE))
    env = sandbox("kulti")
    assert env.attached and env.resolver == "127.0.0.1:53"
    assert env.health[0].url == "http://kulti.sandbox.test:9/"
    assert [(door.name, door.pooled, door.dsn.reveal()) for door in env.doors] == [
        ("direct", False, "postgresql://c")
    ]
    vercel = env.vendors["vercel"]
    assert vercel.status_url.endswith("/status-page") and vercel.settings["project"] == "prj_1"
    assert vercel.token is not None and vercel.token.reveal() == "vercel-token"


def test_the_operators_door_is_none_of_those_that_looks_go_through(state: Path) -> None:
    """Only an approved change goes in by it; its address is masked like any other."""
    assert sandbox("kulti").operator is None
    state.write_text(json.dumps({**STATE, "operators": {"kulti": "postgresql://o"}}))
    env = sandbox("kulti")
    assert env.operator is not None and env.operator.dsn.reveal() == "postgresql://o"
    assert env.operator not in env.doors and env.operator.dsn in env.secrets()
    assert sandbox("klutr").operator is None


@pytest.mark.parametrize("system", config.list_systems(ROOT))
def test_each_system_names_a_door_for_changes_of_its_own(system: str) -> None:
    """Another reference than those for looking: one that leaks is not the other."""
    env = config.load_system(system, ROOT).environment("production")
    assert env.operator is not None and not env.operator.pooled
    assert env.operator.dsn.reference not in [door.dsn.reference for door in env.doors]


def test_a_system_that_this_sandbox_does_not_run_is_not_attached(state: Path) -> None:
    """It may have been started for one system only."""
    state.write_text(json.dumps(STATE))
    assert not sandbox("klutr").attached


def test_a_sandbox_whose_process_is_gone_does_not_count(state: Path) -> None:
    """Its ports may belong to somebody else by now."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    state.write_text(json.dumps({**STATE, "pid": gone.pid}))
    assert not sandbox("kulti").attached


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"pid": "x"}',
        '{"pid": 1, "databases": [1]}',
        '{"pid": 0}',
        '{"pid": 99999999999999999999}',
    ],
)
def test_a_state_file_that_is_broken_is_named(state: Path, content: str) -> None:
    """Not taken for a sandbox that is down."""
    state.write_text(content)
    with pytest.raises(ConfigError, match=r"state\.json: is not what the sandbox writes"):
        sandbox("kulti")
