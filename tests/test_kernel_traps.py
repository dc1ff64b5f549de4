"""The eighteen ways in which forked kernels were seen to go wrong, each held against its cure.

Two have no test of their own. Papermill in threads, where kernels get each other's directory (13), is not
how runs go side by side here; that each has its own is in test_kernels,
`test_runs_share_neither_variables_nor_environment_nor_directory_nor_chance`. The warning of Python 3.12
about a fork with threads (18) cannot come from a zygote with one thread, `test_3_a_zygote_has_one_thread`.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from opslib.kernels import client, environ, fingerprint, launch, place
from tests import warmth
from tests.warmth import FORKED, PARENT, PLAIN, Done, descriptors, run, running, side_by_side, within

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only"),
    pytest.mark.usefixtures("zygote"),
]


def refused(spoil: str) -> str:
    """Return what a process says that would be a zygote, had nobody spoilt it."""
    check = "from opslib.kernels import preload\npreload._SETTLED_S = 0.2\npreload.check({'0', '1', '2'})"
    words = [sys.executable, "-c", f"import zmq\n{spoil}\n{check}"]
    env = environ.for_zygote(os.environ)
    return subprocess.run(words, capture_output=True, text=True, env=env, check=False).stderr


def test_a_process_that_nobody_has_spoilt_may_fork() -> None:
    """Else the refusals below would prove nothing."""
    assert refused("") == ""


def test_1_plots_are_not_lost(zygote: int) -> None:
    """The inline backend looks for its shell as it is imported: never before the fork."""
    plot = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
    assert run(plot).shapes == run(plot, kernel=PLAIN).shapes == [[["image/png", "text/plain"]]]
    assert "lose their plots" in refused("import matplotlib_inline.backend_inline")


@pytest.mark.parametrize("kernels", ["", "plain"])
def test_2_no_cell_is_kept_in_a_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernels: str
) -> None:
    """nbclient sees to that for kernels called python3 only; ours has another name, also when it is plain."""
    from nbclient import NotebookClient
    from nbformat import v4

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("OPSLIB_KERNELS", kernels)
    where = "print(get_ipython().history_manager.hist_file)"
    notebook = v4.new_notebook(cells=[v4.new_code_cell(where)])
    NotebookClient(notebook, kernel_name=FORKED).execute()
    assert notebook.cells[0].outputs[0]["text"] == ":memory:\n"
    assert (tmp_path / "ipython" / "profile_default").is_dir()
    assert not list(tmp_path.rglob("history.sqlite"))


def test_3_and_18_a_zygote_has_one_thread(zygote: int) -> None:
    """A lock that another one holds at the fork stays locked for good; numpy's library starts some."""
    assert len(list(Path(f"/proc/{zygote}/task").iterdir())) == 1
    assert "2 threads" in refused(
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()"
    )
    look = "import json, os\nprint(json.dumps(os.environ.get('OPENBLAS_NUM_THREADS')))"
    assert run(look).value is None, "a kernel has what its caller says"


def test_4_a_zygote_has_no_connection_that_forks_would_share(zygote: int) -> None:
    """Its listener, its lock, and the streams that everybody has; a font keeps its file open, too."""
    assert within(5, lambda: _kinds(zygote) == ["/dev/null", "lock", "log", "log", "socket"]), _kinds(zygote)
    assert "were opened" in refused("import socket\nkept = socket.socket()")
    assert "were opened" in refused(
        "from matplotlib.font_manager import get_font, findfont\nkept = get_font(findfont('sans'))"
    )
    assert "zmq context" in refused("zmq.Context.instance()")


def _kinds(process: int) -> list[str]:
    """Return what the descriptors of a process are."""
    return sorted(link.partition(":")[0].rpartition(".")[2] for link in descriptors(process).values())


def test_5_a_file_written_while_it_was_loaded_counts_as_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can say whether it was read before or after; that an edited one is used: test_kernels."""
    module = tmp_path / "young.py"
    module.write_text("x = 1")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("young")
    before = time.time_ns() - 10**9
    assert fingerprint.changed(fingerprint.taken(before)) == str(module)
    os.utime(module, (1, 1))
    known = fingerprint.taken(time.time_ns())
    assert fingerprint.changed({str(module): known[str(module)]}) == ""
    module.write_text("x = 2")
    assert fingerprint.changed({str(module): known[str(module)]}) == str(module)
    del sys.modules["young"]


def test_5_a_package_that_is_installed_counts_as_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What tried to import it, and did without, would try again."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    os.utime(folder, (1, 1))
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    known = {str(folder): fingerprint.taken(time.time_ns())[str(folder)]}
    assert fingerprint.changed(known) == ""
    (folder / "new.dist-info").mkdir()
    assert fingerprint.changed(known) == str(folder)


def test_5_what_would_be_found_first_counts_as_a_change_and_a_cache_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder of the search path, and in a package, where `acts/` comes before `acts.py`."""
    (tmp_path / "young").mkdir()
    (tmp_path / "young" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("young")
    for folder in (tmp_path, tmp_path / "young"):
        known = {str(folder): fingerprint.taken(time.time_ns())[str(folder)]}
        (folder / "__pycache__").mkdir(exist_ok=True)
        (folder / "notes.txt").touch()
        os.utime(folder, (2, 2))
        assert fingerprint.changed(known) == ""
        (folder / "httpx.py").touch()
        os.utime(folder, (3, 3))
        assert fingerprint.changed(known) == str(folder)
        known = {str(folder): fingerprint.stamp(str(folder))}
        (folder / "pandas").mkdir()
        os.utime(folder, (4, 4))
        assert fingerprint.changed(known) == str(folder)
    del sys.modules["young"]


def test_6_what_an_interpreter_reads_at_its_start_is_given_by_a_plain_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A fork would have the zygote's; the reason is said, once."""
    env = {**os.environ, "PYTHONHASHSEED": "0"}
    look = "import json, os\nprint(json.dumps([hash('x'), os.getppid()]))"
    expected = subprocess.run(
        [sys.executable, "-c", "print(hash('x'))"], env=env, capture_output=True, check=True
    )
    for _ in range(2):
        assert run(look, env=env).value == [int(expected.stdout), os.getpid()]
    assert [record.getMessage() for record in caplog.records if "PYTHONHASHSEED" in record.getMessage()] == [
        "kernels start the slow way: PYTHONHASHSEED cannot be given to an interpreter that has started"
    ]


def test_6_neither_secrets_nor_other_variables_are_compared_or_kept() -> None:
    """A zygote has what is read at the start, and not what merely begins like it."""
    caller = {"PYTHONUTF8": "1", "PYTHONANYWHERE_API_TOKEN": "x", "DATABASE_URL": "y", "LD_PRELOAD": "z"}
    assert environ.for_zygote(caller).keys() == {
        "PYTHONUTF8", "LD_PRELOAD", "OPENBLAS_NUM_THREADS", "PYDEVD_DISABLE_FILE_VALIDATION",
    }  # fmt: skip
    latin = {"LANG": "de_DE.ISO-8859-1"}
    assert differing(latin, {"LANG": "de_DE.UTF-8"}) == ["charset"]
    assert differing({}, {"LANG": "C", "TZ": "UTC"}) == []


def differing(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Return in what two environments differ for an interpreter that has started."""
    return environ.differing(environ.fixed(one, "/"), environ.fixed(other, "/"))


@pytest.mark.parametrize("given", ["lib", os.pathsep + "/nowhere"])
def test_6_a_search_path_that_depends_on_the_directory_is_that_of_whoever_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    """`PYTHONPATH=$PYTHONPATH:/own` begins with an empty part, which is where the interpreter starts."""
    own = warmth.prepare(monkeypatch)
    monkeypatch.setenv("PYTHONPATH", given)
    (tmp_path / "lib").mkdir()
    look = "import json, sys\nprint(json.dumps(sys.path))"
    found = [run(look, kernel=kernel, cwd=tmp_path).value for kernel in (FORKED, PLAIN)]
    warmth.end(own)
    shutil.rmtree(own)
    assert found[0] == found[1]
    assert {str(tmp_path), str(tmp_path / "lib")} & set(found[0])


def test_7_what_lies_in_the_directory_is_imported_as_by_a_plain_kernel(tmp_path: Path) -> None:
    """A notebook's own `httpx.py` comes first there, whatever a zygote has loaded."""
    (tmp_path / "beside.py").write_text("x = 1")
    look = "import json, os, beside, httpx\nprint(json.dumps([getattr(httpx, 'own', 0), os.getppid()]))"
    assert run(look, cwd=tmp_path).value == [0, client.status()["pid"]]
    (tmp_path / "httpx.py").write_text("own = 1")
    assert run(look, cwd=tmp_path).value == [1, os.getpid()]


def test_7_warnings_are_shown_as_by_a_plain_kernel() -> None:
    """Imports put filters in; what is shown is what a plain kernel shows."""
    warn = "import warnings\nfor kind in (UserWarning, DeprecationWarning, FutureWarning, ResourceWarning, "
    warn += "PendingDeprecationWarning, RuntimeWarning, ImportWarning):\n    warnings.warn('w', kind)"
    found = [run(warn, kernel=kernel).text for kernel in (FORKED, PLAIN)]
    lines = [[line for line in text.splitlines() if "Warning" in line] for text in found]
    assert [line.split(": ")[1] for line in lines[0]] == [line.split(": ")[1] for line in lines[1]]
    assert len(lines[0]) >= 4


def test_8_each_fork_has_chance_of_its_own() -> None:
    """numpy's old generator would give all of them the same numbers."""
    look = "import json, random, numpy as np\nprint(json.dumps([random.random(), np.random.rand()]))"
    found = [run(look).value for _ in range(3)]
    assert len({one for one, _ in found}) == len({other for _, other in found}) == 3


def test_9_no_thread_of_a_fork_watches_its_parent() -> None:
    """That is the zygote, not who is named in the environment; its end and the connection's do that."""
    look = "import json, threading\nprint(json.dumps([[type(t).__name__ for t in threading.enumerate()],"
    look += "get_ipython().kernel.parent.parent_handle]))"
    threads, watched = run(look).value
    assert "ParentPollerUnix" not in threads
    assert watched == 1, "the parent is taken for the system's first process, which never ends"


INTERRUPTED = """
import signal, threading, time, os, json
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    time.sleep(20)
except KeyboardInterrupt:
    print("interrupted")
"""
ENDS = {
    "sys.exit": "import sys\nsys.exit(3)",
    "an exit handler": "import atexit, os, sys\natexit.register(os.write, 2, b'bye')\nsys.exit()",
}
SAME = {
    "an interrupt": INTERRUPTED,
    "a pool of forks": "import multiprocessing\n"
    "with multiprocessing.get_context('fork').Pool(2) as p: print(p.map(abs, [-1]))",
    "a pool of spawned": "import multiprocessing\n"
    "with multiprocessing.get_context('spawn').Pool(1) as p: print(p.map(abs, [-1]))",
    "a child's end": "import subprocess, sys\nprint(subprocess.run(['sh', '-c', 'kill -9 $$']).returncode)",
    "a pipe that nobody reads": "import subprocess\n"
    "print(subprocess.run('yes | head -1', shell=True, capture_output=True))",
    "threads": "from concurrent.futures import ThreadPoolExecutor\n"
    "print(list(ThreadPoolExecutor(2).map(abs, [-1])))",
    "matrices": "import numpy as np\nprint(np.ones((300, 300)).dot(np.ones((300, 300))).sum())",
    "an alarm": "import signal, time\nsignal.signal(signal.SIGALRM, lambda *a: print('rang'))\n"
    "signal.alarm(1)\ntime.sleep(1.2)",
}


def test_10_signals_processes_and_exits_are_those_of_a_plain_kernel() -> None:
    """Whatever a cell does with them, cell after cell; but for those that end their kernel."""
    cells = [tuple(SAME.values()), *((cell,) for cell in ENDS.values())]
    both = [running(*some, kernel=kernel, timeout=20) for some in cells for kernel in (FORKED, PLAIN)]
    found = side_by_side(*both)
    for forked, plain in zip(found[::2], found[1::2], strict=True):
        assert (forked.ending, forked.stderr) == (plain.ending, plain.stderr)
        assert told(forked) == told(plain)
    assert dict(zip(SAME, told(found[0]), strict=True))["an interrupt"] == "interrupted\n"


def told(done: Done) -> list[str]:
    """Return what each cell printed."""
    texts = [[output.get("text", "") for output in cell.outputs] for cell in done.notebook.cells]
    return ["".join(text) for text in texts]


DEAF = """
import signal, sys
for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1): signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
from opslib.kernels import client
print(client.warm()["pid"])
"""


USUAL = """
import signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
from tests.warmth import run
for cell in sys.argv[1:]: print(run(cell, timeout=30).text, end="")
"""
SEEN = """
import json, os, signal
handled = [int(signal.getsignal(number)) for number in (signal.SIGHUP, signal.SIGUSR1)]
print(json.dumps([os.getppid(), handled, sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, [])))]))
"""


def test_10_signals_are_those_of_whoever_asks_wherever_the_zygote_was_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`nohup opslib run` in the background starts one that ignores interrupts; later runs must not."""
    own, root = warmth.prepare(monkeypatch), Path(__file__).parents[1]
    deaf = subprocess.run([sys.executable, "-c", DEAF], cwd=root, capture_output=True, text=True, check=True)
    words = [sys.executable, "-c", USUAL, SEEN, INTERRUPTED]
    told = subprocess.run(words, cwd=root, capture_output=True, text=True)
    warmth.end(own)
    shutil.rmtree(own)
    seen, _, interrupted = told.stdout.partition("\n")
    assert json.loads(seen) == [int(deaf.stdout), [0, 0], []], told.stderr
    assert interrupted == "interrupted\n"


def test_10_an_interrupt_is_as_in_a_fresh_interpreter_before_ipykernel_has_its_own() -> None:
    """What the zygote did with signals is not for its forks; what the caller ignores they ignore, too."""
    spoilt = "import signal; from opslib.kernels import forked; signal.signal(signal.SIGINT, signal.SIG_IGN)"
    tell = "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    for ignored, fresh in ("[]", "True"), ("[2]", "False"):
        words = [sys.executable, "-c", f"{spoilt}; forked._signals({ignored}); {tell}"]
        assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip() == fresh


def test_11_a_kernel_is_announced_after_its_sockets_are_bound(tmp_path: Path) -> None:
    """A connection that is refused is tried again only a tenth of a second later."""
    from opslib.runner.kernel import QuickManager

    async def bound() -> list[str]:
        manager = QuickManager(kernel_name=FORKED, transport="ipc", ip=str(tmp_path / "k"))
        await manager.start_kernel(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found = sorted(path.name for path in tmp_path.iterdir() if path.is_socket())
        await manager.shutdown_kernel(now=True)
        return found

    assert asyncio.run(bound()) == ["k-1", "k-2", "k-3", "k-4", "k-5"]


def test_12_a_run_that_is_cancelled_leaves_no_kernel_at_any_moment() -> None:
    """While it starts and while it runs; and it is called interrupted, not dead."""

    async def cancelled(after: float) -> warmth.Done:
        task = asyncio.create_task(running("import time\ntime.sleep(60)"))
        await asyncio.sleep(after)
        task.cancel()
        return await task

    for after in (0.0, 0.01, 0.03, 0.06, 0.1, 0.5):
        assert asyncio.run(cancelled(after)).ending.cause == "interrupted"
        assert within(10, lambda: client.status()["kernels"] == [])


LIMITED = """
import os, resource, subprocess, sys
resource.setrlimit(resource.RLIMIT_CPU, (77, 99))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
os.umask(0o037)
os.nice(5)
os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)
from tests.warmth import run
look = "import json, os, resource, signal\\nm = os.umask(0)\\nprint(json.dumps([os.getppid()," \\
    "resource.getrlimit(resource.RLIMIT_CPU), m, os.nice(0), len(os.sched_getaffinity(0))," \\
    "signal.getsignal(signal.SIGHUP) == signal.SIG_IGN]))"
print(run(look).text)
"""


def test_13_of_many_that_start_at_once_each_has_its_own_directory(tmp_path: Path) -> None:
    """Who changes the runner's directory for a kernel changes it for those that start at that moment."""
    folders = [tmp_path / str(number) for number in range(8)]
    for folder in folders:
        folder.mkdir()
    look = "import json, os\nprint(json.dumps(os.getcwd()))"
    before = Path.cwd()
    done = side_by_side(*(running(look, cwd=folder) for folder in folders))
    assert [each.value for each in done] == [str(folder) for folder in folders]
    assert Path.cwd() == before


def test_14_limits_priority_and_cores_are_those_of_whoever_asks(zygote: int) -> None:
    """The kernel is not its child, and yet must not escape what holds it."""
    root = Path(__file__).parents[1]
    told = subprocess.run([sys.executable, "-c", LIMITED], cwd=root, capture_output=True, text=True)
    found, priority = json.loads(told.stdout.strip() or "[]"), min(os.getpriority(os.PRIO_PROCESS, 0) + 5, 19)
    assert found == [zygote, [77, 99], 0o037, priority, 1, True], told.stderr


def test_14_whoever_is_held_by_other_groups_has_another_zygote(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of control groups cannot be given to a process afterwards; nor can namespaces."""
    usual = place.here()
    monkeypatch.setattr(place, "_bounds", lambda: iter(["/sys/fs/cgroup/job/memory.max=1000"]))
    assert place.here().socket != usual.socket


def test_14_limits_of_control_groups_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of each group on the way up."""
    monkeypatch.setattr(place, "_GROUPS", tmp_path)
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "memory.max").write_text("1000\n")
    (tmp_path / "a" / "b" / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "a" / "b" / "pids.max").write_text("max\n")
    found = [line.removeprefix(f"{tmp_path}/") for line in place._unified(tmp_path / "a" / "b")]
    assert found == ["a/b/cpu.max=50000 100000", "a/memory.max=1000"]


def test_15_the_debugger_says_nothing_as_a_kernel_starts() -> None:
    """It warns of frozen modules on every import, and a record would begin with that."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYDEVD")}
    log = place.here().log
    before = log.read_text()
    done = run("print(get_ipython().kernel.debugger is not None)", env=env)
    assert (done.text, done.stderr, log.read_text().removeprefix(before)) == ("True\n", "", "")


STUCK = """import sys, time
if 'opslib.kernels.forked' in sys.modules:
    open({0!r}, 'a').close()
    time.sleep(600)
"""


def test_16_a_fork_that_is_not_ready_in_time_is_gone_before_a_plain_kernel_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two kernels on one connection file would answer each other's questions."""
    start = tmp_path / "profile_default" / "startup"
    start.mkdir(parents=True)
    (start / "00.py").write_text(STUCK.format(str(tmp_path / "stuck")))
    monkeypatch.setattr(launch, "FORK_S", 1.0)
    look = "import json, os\nprint(json.dumps(os.getppid()))"
    assert run(look, env={**os.environ, "IPYTHONDIR": str(tmp_path)}).value == os.getpid()
    assert (tmp_path / "stuck").exists()
    assert client.status()["kernels"] == []


def test_16_a_fork_that_ends_before_it_is_ready_is_followed_by_a_plain_kernel(tmp_path: Path) -> None:
    """As when a library breaks in forks only."""
    start = tmp_path / "profile_default" / "startup"
    start.mkdir(parents=True)
    (start / "00.py").write_text("import os, sys\nif 'opslib.kernels.forked' in sys.modules: os._exit(5)")
    assert run(PARENT, env={**os.environ, "IPYTHONDIR": str(tmp_path)}).value == os.getpid()


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_17_elsewhere_kernels_are_plain(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    """A fork is not safe there, or there is none."""
    monkeypatch.setattr("opslib.kernels.client.sys.platform", system)
    assert "Linux" in client.usable()
    with pytest.raises(client.Cold):
        client.warm()
