"""What all tests share: one real sandbox a worker, healed after each test."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from opslib import keys, masking
from opslib.gate import authority
from opslib.kernels import client
from opslib.sandbox import control, data
from tests import shop, warmth
from tests.changing import Office

ROOT = Path(__file__).parents[1]
# Enough rows for every procedure, few enough to be there in two seconds.
SCALE = 0.25
MEMORY = Path("/dev/shm")
ROOM = 8_000_000_000  # bytes, far more than all workers together write


class Together(LoadScopeScheduling):  # type: ignore[misc]
    """Sends a module to one worker if its tests share what it makes once; other tests go where there is room.

    What the plain scheduler of groups does is left undone by pytest 9.2, without a word.
    """

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return module if _shares(self.config.rootpath / module) else nodeid


@cache
def _shares(module: Path) -> bool:
    return 'scope="module"' in module.read_text(encoding="utf-8")


def pytest_configure() -> None:
    """Keep what tests write in memory where there is room: it outlives none of them, and disks are slow."""
    if "TMPDIR" not in os.environ and _roomy(MEMORY):
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None


def _roomy(folder: Path) -> bool:
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        return False
    about = os.statvfs(folder)
    left = min(about.f_bavail * about.f_frsize, psutil.virtual_memory().available)
    return (
        left > ROOM and not about.f_flag & os.ST_NOEXEC
    )  # servers run programs that stand beside their data


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    """Return how tests are given to workers."""
    return Together(config, log)


@dataclass(frozen=True)
class Rehearsal:
    """The sandbox that a test may break.

    Args:
        home: its `OPSLIB_HOME`.
    """

    home: Path


@pytest.fixture(scope="session", autouse=True)
def signals_that_arrive() -> None:
    """With `nohup`, or behind a shell's `&`, signals are ignored by the tests and all that they start."""
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


@pytest.fixture(scope="session", autouse=True)
def warm_kernels() -> Iterator[None]:
    """One process forks the kernels of this worker, whatever homes its tests have; it starts when needed."""
    home = tempfile.mkdtemp(prefix="opskernels-")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPSLIB_KERNELS_HOME", home)
        patch.setenv("OPSLIB_KERNELS_IDLE_S", "120")
        yield
        client.stop(now=True)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def rehearsal() -> Iterator[Rehearsal]:
    """All five systems, up for the whole session of this worker; they die with it."""
    home = Path(tempfile.mkdtemp(prefix="opshome-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPSLIB_HOME", str(home))
        patch.setenv("OPSLIB_PARAMETERS", os.environ.get("OPSLIB_PARAMETERS", str(ROOT / "parameters")))
        held = control.ensure(*data.systems(), scale=SCALE)
        held.__enter__()
    yield Rehearsal(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPSLIB_HOME", str(home))
        held.__exit__(None, None, None)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(autouse=True)
def secrets_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test masks what it knows itself: another one's value of the same name would give it a number."""
    monkeypatch.setattr(masking, "_registered", {})


@pytest.fixture
def sandbox(rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsal]:
    """The sandbox of this worker, found through `OPSLIB_HOME`; what a test breaks or mends is undone."""
    monkeypatch.setenv("OPSLIB_HOME", str(rehearsal.home))
    yield rehearsal
    monkeypatch.setenv("OPSLIB_HOME", str(rehearsal.home))
    if control.status()["up"]:
        control.heal()


@pytest.fixture(scope="module")
def kernels_home() -> Iterator[Path]:
    """A home for a zygote of the module's own."""
    with pytest.MonkeyPatch.context() as patch:
        made = warmth.prepare(patch)
        yield made
        warmth.end(made)
    shutil.rmtree(made)


@pytest.fixture
def zygote(kernels_home: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """The process of the module's zygote, which every test finds well."""
    monkeypatch.setattr(client, "_distrusted", {})
    monkeypatch.setattr("opslib.kernels.provisioner._said", set())
    return int(client.warm()["pid"])


@pytest.fixture(scope="session")
def one_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project with one sealed run, of which each test has a copy."""
    root = tmp_path_factory.mktemp("one-run")
    with pytest.MonkeyPatch.context() as patch:
        assert shop.build(root, patch).opslib("run", "too-warm", "--system", "shop").returncode == 0
    return root


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    """Two people, a policy, and an archive; Ada works."""
    monkeypatch.delenv(authority.TRIGGER, raising=False)
    made = Office(tmp_path, monkeypatch)
    monkeypatch.setenv("OPSLIB_ARCHIVE", str(made.changes.archive))
    made.open()
    return made


@pytest.fixture
def signer(sandbox: Rehearsal) -> Iterator[keys.Signer]:
    """The key of whoever rehearses, gone again after the test."""
    keys.init("rehearser")
    found = keys.own()
    assert found is not None
    yield found
    shutil.rmtree(sandbox.home / "keys")
