"""Warm kernels: forked when they can be, plain otherwise, and never one that knows of another."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import cycler
import matplotlib
import pytest
from click.testing import CliRunner

from opslib.cli.app import cli
from opslib.kernels import client, environ, place, wire
from opslib.kernels.client import Cold
from opslib.runner import client as reader
from opslib.runner import execute
from opslib.runner.request import Request
from tests import small, warmth
from tests.warmth import FORKED, PARENT, PLAIN, descriptors, gone, run, running, side_by_side, within

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only"),
    pytest.mark.usefixtures("zygote"),
]
CANARY = "kanarienvogel-3f61d0"


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home without a zygote, for tests that end or break theirs."""
    made = warmth.prepare(monkeypatch)
    yield made
    warmth.end(made)
    shutil.rmtree(made)


def kernels() -> list[int]:
    """Return the kernels that the zygote has now."""
    return [kernel["pid"] for kernel in client.status()["kernels"]]


def test_a_kernel_of_the_spec_is_a_fork_of_the_zygote(zygote: int) -> None:
    """Otherwise all that follows would be true of plain kernels."""
    assert run(PARENT).value == zygote
    assert within(5, lambda: kernels() == [])


FACTS = """
import asyncio, gc, json, locale, logging, multiprocessing, os, resource, signal, sys, tempfile, threading
import time
import warnings
def kind(stream): return str(next(t for t in type(stream).__mro__ if not t.__module__.startswith("opslib")))
def named(handler): return getattr(handler, "__qualname__", type(handler).__qualname__)
kernel = get_ipython().kernel
import matplotlib
limits = {n: resource.getrlimit(getattr(resource, n)) for n in dir(resource) if n.startswith("RLIMIT_")}
mask = os.umask(0); os.umask(mask)
print(json.dumps({
    "argv": [w for w in sys.argv if "kernel.json" not in w], "path": sys.path, "flags": str(sys.flags),
    "executable": sys.executable, "original": [w for w in sys.orig_argv if "kernel.json" not in w],
    "environment": {n: v for n, v in os.environ.items()}, "cwd": os.getcwd(), "mask": mask, "limits": limits,
    "nice": os.nice(0), "cores": sorted(os.sched_getaffinity(0)), "leads": os.getsid(0) == os.getpid(),
    "signals": {str(s): named(signal.getsignal(s)) for s in sorted(signal.valid_signals())},
    "masked": str(signal.pthread_sigmask(signal.SIG_BLOCK, [])), "locale": locale.setlocale(locale.LC_ALL),
    "encodings": [locale.getpreferredencoding(), sys.getfilesystemencoding(), sys.stdout.encoding],
    "zone": time.tzname, "tmp": tempfile.gettempdir(), "stdin": os.read(0, 1).decode(),
    "streams": [kind(s) for s in (sys.stdout, sys.stderr, sys.stdin, sys.__stdout__, sys.__stderr__)],
    "buffering": [sys.__stdout__.line_buffering, sys.__stderr__.line_buffering],
    "threads": sorted({t.name.split("-")[0] for t in threading.enumerate()} - {"Thread"}),
    "main": sorted(vars(sys.modules["__main__"])),
    "root": [str(logging.root.handlers), logging.root.level], "gc": [gc.isenabled(), gc.get_threshold()],
    "recursion": sys.getrecursionlimit(), "method": multiprocessing.get_start_method(True),
    "hooks": [named(h) for h in (sys.excepthook, sys.displayhook, sys.breakpointhook, sys.unraisablehook)],
    "trace": [str(sys.gettrace()), str(sys.getprofile())], "history": get_ipython().history_manager.hist_file,
    "loop": type(asyncio.get_running_loop()).__name__, "debugger": kernel.debugger is not None,
    "backend": matplotlib.rcParams["backend"], "rc": str({n: v for n, v in matplotlib.rcParams.items()}),
    "formats": str(get_ipython().display_formatter.active_types), "colors": get_ipython().colors,
    "user": kernel.session.username, "switch": sys.getswitchinterval(), "dont": sys.dont_write_bytecode,
    "tornado": str([type(h).__name__ for h in logging.getLogger("tornado").handlers]),
    "captured": logging.getLogger("py.warnings").handlers == [], "int_max": sys.get_int_max_str_digits(),
}, default=str))
"""


def test_a_forked_kernel_cannot_tell_itself_from_a_plain_one(tmp_path: Path) -> None:
    """Arguments, environment, limits, signals, streams, hooks, threads (but the poller of the parent).

    Streams have a class of their own, which only waits less for its thread.
    """
    env = {**os.environ, "TZ": "Asia/Kathmandu", "OWN": "x", "USER": "somebody", "TMPDIR": str(tmp_path)}
    forked, plain = side_by_side(*(running(FACTS, kernel=k, env=env, cwd=tmp_path) for k in (FORKED, PLAIN)))
    assert not (forked.ending.cause or plain.ending.cause), (forked.ending, plain.ending)
    found = {name: (forked.value[name], plain.value[name]) for name in plain.value}
    assert {name: pair for name, pair in found.items() if pair[0] != pair[1]} == {}


UNLISTED = """
import sys
mine = get_ipython().kernel._kernel_modules
files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
print(json.dumps(sorted(name for name, file in files.items() if file and file not in mine)))
"""


def test_a_debugger_steps_over_what_was_loaded_before_the_notebook(tmp_path: Path) -> None:
    """It takes that from a list which ipykernel makes as it begins; a fork has it from the zygote."""
    path = ["import json, kernel_begins_after_this", UNLISTED]
    (tmp_path / "kernel_begins_after_this.py").touch()
    forked, plain = (run(*path, kernel=kernel, cwd=tmp_path) for kernel in (FORKED, PLAIN))
    assert "kernel_begins_after_this" in forked.value
    assert set(forked.value) <= set(plain.value)


def test_a_reset_forgets_the_modules_of_the_notebook_and_no_others(tmp_path: Path) -> None:
    """IPython takes down their names as it begins; a fork has those from the zygote."""
    (tmp_path / "loaded_by_the_notebook.py").touch()
    cells = ["import loaded_by_the_notebook\nget_ipython().reset(aggressive=True)"]
    cells += ["import sys\nprint({'loaded_by_the_notebook', 'json', 'IPython', 'comm'} & set(sys.modules))"]
    forked, plain = (run(*cells, kernel=kernel, cwd=tmp_path).text for kernel in (FORKED, PLAIN))
    assert sorted(forked) == sorted(plain) and "loaded_by_the_notebook" not in forked


KINDS = {
    "a plot of pyplot": "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()",
    "a plot that nobody shows": "import matplotlib.pyplot as plt\nplt.plot([1, 2]);",
    "a figure without pyplot": "from matplotlib.figure import Figure\nf = Figure(); f.add_subplot()\nf",
    "a table": "import pandas as pd\npd.DataFrame({'a': [1, 2]})",
    "a traceback": "def f(): return 1 / 0\nf()",
    "a warning": "import warnings\nwarnings.warn('old')\nwarnings.warn('older', DeprecationWarning)",
    "native output": "import os\nos.write(1, b'native')\nos.system('echo shell');",
    "what is printed around": "import sys\nprint(1, end='')\ndisplay(2)\nprint(3, flush=True)\n"
    "print(4, file=sys.stderr)\ndisplay(5)\nprint(6, end='', flush=True)\nprint(7)\n8",
    "a shell line": "!echo hello",
    "HTML, SVG, Markdown, JSON": "from IPython.display import *\n"
    "display(HTML('<b>x'), SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>'), Markdown('*x*'), JSON({}))",
    "an update": "h = display(1, display_id=True)\nh.update(2)",
    "top-level await": "import asyncio\nawait asyncio.sleep(0, 'slept')",
    "help": "len?",
    "a log record": "import logging\nlogging.getLogger('x').warning('careful')\nlogging.error('root')",
    "a syntax error": "a b",
    "input": "input()",
    "a magic": "%who\n%precision 2\n1 / 3",
    "inline settings": "%matplotlib inline\n%config InlineBackend.figure_formats = ['svg']\n"
    "import matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()",
}  # fmt: skip


def shown(done: warmth.Done) -> list[Any]:
    """Return the outputs of a run without what differs between any two processes."""
    cells: list[Any] = json.loads(json.dumps([cell.outputs for cell in done.notebook.cells]))
    for output in (output for outputs in cells for output in outputs):
        output.pop("execution_count", None)
        for mime in output.get("data", {}):
            if mime.startswith("image/svg") or "id" in output.get("metadata", {}):
                output["data"][mime] = "drawn"
    return cells


def test_outputs_are_those_of_a_plain_kernel_to_the_letter() -> None:
    """A plot that becomes text makes everything faster, and nobody notices: so each kind is compared."""
    found = [run(*KINDS.values(), kernel=kernel, allow_errors=True) for kernel in (FORKED, PLAIN)]
    forked, plain = ([_comparable(cell) for cell in shown(done)] for done in found)
    for kind, one, other in zip(KINDS, forked, plain, strict=True):
        assert one == other, kind
    assert found[0].shapes == found[1].shapes
    assert ["image/png", "text/plain"] in found[0].shapes[0]


def _comparable(outputs: list[Any]) -> str:
    """Return outputs as text, without process ids and addresses."""
    return re.sub(r"ipykernel_\d+|0x[0-9a-f]+|/tmp/[\w/.-]+", "…", json.dumps(outputs))


def test_runs_share_neither_variables_nor_environment_nor_directory_nor_chance(tmp_path: Path) -> None:
    """Four at once, each of which leaves its marks everywhere it can."""
    look = (
        "import json, os, random, sys, tempfile, uuid\nimport numpy as np\nimport pandas as pd\n"
        "from opslib import ids\n"
        "seen = [globals().get('mark'), os.environ.get('MARK'), getattr(pd, 'mark', None), os.getcwd()]\n"
        "chance = [random.random(), float(np.random.rand()), float(np.random.default_rng().random()),\n"
        "  str(uuid.uuid4()), ids.new_run_id(), next(tempfile._get_candidate_names())]\n"
        "import multiprocessing\nchance.append(multiprocessing.current_process().authkey.hex())\n"
        "mark = pd.mark = os.environ['MARK'] = 'seen'\nrandom.seed(1)\nnp.random.seed(1)\n"
        "print(json.dumps([seen, chance]))"
    )
    folders = [tmp_path / name for name in "abcd"]
    for folder in folders:
        folder.mkdir()
    for _ in range(2):
        found = [done.value for done in side_by_side(*(running(look, cwd=folder) for folder in folders))]
        assert [seen for seen, _ in found] == [[None, None, None, str(folder)] for folder in folders]
        for kind in zip(*(chance for _, chance in found), strict=True):
            assert len(set(kind)) == len(folders), kind


def test_runs_share_no_open_connection_or_file(zygote: int) -> None:
    """Neither with each other nor with the zygote; /dev/null may be anybody's."""
    look = (
        "import json, os, pathlib\nlinks = []\nfor p in pathlib.Path('/proc/self/fd').iterdir():\n"
        "    try: links.append(str(p.readlink()))\n    except OSError: pass\n"
        "import time; time.sleep(0.3)\nprint(json.dumps(links))"
    )
    found = [set(done.value) for done in side_by_side(*(running(look) for _ in range(3)))]
    common = {"/dev/null", "anon_inode:[eventpoll]", "anon_inode:[eventfd]", "/dev/urandom"}
    found.append(set(descriptors(zygote).values()))
    for number, one in enumerate(found):
        for other in found[number + 1 :]:
            assert {link for link in one & other if not link.startswith("/proc")} <= common


DEATHS = {
    "a segfault": "import ctypes\nctypes.string_at(0)",
    "os._exit": "import os\nos._exit(7)",
    "SIGKILL": "import os\nos.kill(os.getpid(), 9)",
    "an endless loop": "while True: pass",
    "an abort": "import os\nos.abort()",
    "children that stay": "import os, subprocess\n"
    "[subprocess.Popen(['sleep', '600']) for _ in range(40)]\nos._exit(1)",
    "as many children as it may have": "import os, resource, time\n"
    "resource.setrlimit(resource.RLIMIT_NPROC, (60, 60))\n"
    "if os.getuid() == 0: os.setuid(61234)  # no such limit holds root\n"
    "for _ in range(200):\n"
    "    if os.fork() == 0: time.sleep(600)",
    "no memory": "import resource\n"
    "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\nx = bytearray(1 << 34)",
    "no descriptors": "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))\n"
    "import os\nx = [os.open('/dev/null', 0) for _ in range(99)]",
    "closed descriptors": "import os\nos.closerange(0, 300)\nos.kill(os.getpid(), 6)",
    "a deaf ear": "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: pass",
}


@pytest.mark.parametrize("ways", [tuple(DEATHS)[first::3] for first in range(3)], ids=", ".join)
def test_kernels_that_die_take_nobody_with_them(zygote: int, ways: tuple[str, ...]) -> None:
    """The one beside them goes on, and so does the zygote."""
    wait = "import time\nfor _ in range(30): time.sleep(0.05)\nprint(6 * 7)"
    cells = (running("import os\nprint(os.getpid())", DEATHS[how], timeout=2) for how in ways)
    well, *dead = side_by_side(running(wait), *cells)
    assert well.value == 42 and not well.ending.cause
    assert client.warm()["pid"] == zygote and run(PARENT).value == zygote
    for how, one in zip(ways, dead, strict=True):
        assert one.ending.cause in ("kernel-died", "timed-out", "procedure-broke"), how
        pid = int(one.text.split()[0])
        assert gone(pid), how
        assert within(5, partial(_ended, pid)), how


def _ended(leader: int) -> bool:
    """Say whether no process of a group lives."""
    told = subprocess.run(["ps", "-eo", "pgid=,pid=,stat=,args="], capture_output=True, text=True, check=True)
    return not [
        line for line in told.stdout.splitlines() if line.split()[0] == str(leader) and " Z" not in line
    ]


RUNS = 40
AT_ONCE = 5


def test_many_runs_leave_nothing_behind(zygote: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process, no descriptor, no thread, no file: neither here, nor in the zygote, nor in /tmp."""
    run("1")
    assert within(5, lambda: sum("socket:" in link for link in descriptors(zygote).values()) == 1)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    # What other tests have left open goes now, or at any moment between.
    gc.collect()
    before, mine = _belongings(zygote), len(descriptors())

    async def many() -> list[warmth.Done]:
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> warmth.Done:
            async with turns:
                return await running(f"print({number})")

        return await asyncio.gather(*(one(number) for number in range(RUNS)))

    assert [done.value for done in asyncio.run(many())] == list(range(RUNS))
    assert within(10, lambda: kernels() == [])
    within(10, lambda: _belongings(zygote) == before and len(descriptors()) <= mine)
    assert _belongings(zygote) == before
    assert len(descriptors()) <= mine


def _belongings(zygote: int) -> list[Any]:
    """Return what the zygote holds, and the children and temporary files of both."""
    children = [Path(f"/proc/{pid}/task/{pid}/children").read_text() for pid in (zygote, os.getpid())]
    threads = [len(list(Path(f"/proc/{zygote}/task").iterdir()))]
    files = sorted(path.name for path in Path(tempfile.gettempdir()).iterdir())
    return [sorted(descriptors(zygote).values()), children, threads, files]


HOLDER = """
import asyncio, sys
from tests.warmth import running
child = "import os, subprocess\\nchild = subprocess.Popen(['sleep', '600']).pid"
told = f"open({sys.argv[1]!r}, 'w').write(f'{{os.getpid()}} {{child}}')\\nwhile True: pass"
asyncio.run(running(child, told))
"""


def test_a_runner_that_is_killed_takes_its_kernels_along(tmp_path: Path, zygote: int) -> None:
    """With all that they have started, and without a word from the runner."""
    said = tmp_path / "pids"
    words = [sys.executable, "-c", HOLDER, str(said)]
    runner = subprocess.Popen(words, cwd=Path(__file__).parents[1])
    assert within(30, lambda: said.exists() and len(said.read_text().split()) == 2)
    pids = [int(pid) for pid in said.read_text().split()]
    assert pids[0] in kernels()
    runner.kill()
    runner.wait()
    assert all(gone(pid) for pid in pids)
    assert client.warm()["pid"] == zygote


def test_whoever_asks_for_a_kernel_and_hangs_up_leaves_nothing_behind(zygote: int) -> None:
    """Neither a kernel nor a word in the log, which is for what is wrong with the zygote itself."""
    log = client.socket_path().with_suffix(".log")
    before, forks = log.read_text(), client.status()["forks"]
    for _ in range(15):
        with socket.socket(socket.AF_UNIX) as asker:
            asker.connect(str(client.socket_path()))
            asker.recv(1)
            asker.sendall(wire.FORK)
    assert within(30, lambda: client.status()["forks"] == forks + 15 and not kernels())
    assert log.read_text() == before


def test_a_zygote_that_is_killed_takes_its_kernels_along_and_plain_ones_follow(own: Path) -> None:
    """Then this process does without for a minute: something kills zygotes here."""
    zygote = client.warm()["pid"]
    killed = run_killed(zygote)
    assert killed.ending.cause == "kernel-died"
    assert gone(int(killed.text.split()[0]))
    assert run(PARENT).value == os.getpid()
    client._distrusted.clear()
    assert run(PARENT).value not in (zygote, os.getpid())


def test_kernels_end_with_the_zygote_also_where_nobody_looks_after_them(own: Path, tmp_path: Path) -> None:
    """The runner is stopped, and so cannot do it; a kernel that nobody holds would live for ever."""
    zygote, said = client.warm()["pid"], tmp_path / "pids"
    words = [sys.executable, "-c", HOLDER, str(said)]
    runner = subprocess.Popen(words, cwd=Path(__file__).parents[1])
    assert within(30, lambda: said.exists() and len(said.read_text().split()) == 2)
    kernel, child = (int(pid) for pid in said.read_text().split())
    runner.send_signal(signal.SIGSTOP)
    os.kill(zygote, signal.SIGKILL)
    ended = gone(kernel)
    runner.send_signal(signal.SIGCONT)
    followed = gone(child)
    runner.kill()
    runner.wait()
    assert ended and followed, "what it started ends as soon as the runner looks"


def run_killed(zygote: int) -> warmth.Done:
    """Run a cell during which the zygote is killed."""
    return asyncio.run(
        running("import os, time\nprint(os.getpid())", f"os.kill({zygote}, 9)\ntime.sleep(60)")
    )


WAITS = """
import os, pathlib, time
begun = pathlib.Path({here!r}) / {name!r}
again = begun.exists()
with begun.open("a") as said: said.write("begun ")
if {name!r} == "killer" and not again:
    while len(list(begun.parent.iterdir())) < 3: time.sleep(0.01)
    os.kill({zygote}, 9)
while not again and {name!r} != "later": time.sleep(0.01)
print("parent", os.getppid())
"""


def _suite(tmp_path: Path, zygote: int, *names: str) -> list[Request]:
    """Return runs that wait for the end of the zygote, which the one called killer brings about."""
    (tmp_path / "marks").mkdir()
    found = []
    for name in names:
        cell = WAITS.format(here=str(tmp_path / "marks"), name=name, zygote=zygote)
        verdict = small.verdict("critical" if name == "killer" else "ok", "found" * (name == "killer"))
        found.append(small.request(tmp_path / name, cell, verdict))
    return found


def test_a_suite_whose_zygote_is_killed_ends_on_plain_kernels(own: Path, tmp_path: Path) -> None:
    """Runs that only look begin once more, from the start; those that had not begun do not notice."""
    zygote = client.warm()["pid"]
    names = ("first", "killer", "second", "later")
    outcomes = execute.run_many(_suite(tmp_path, zygote, *names), jobs=3)
    assert [outcome.document["verdict"] for outcome in outcomes] == ["ok", "critical", "ok", "ok"]
    assert outcomes[1].document["cause"]["id"] == "found"
    for name, outcome in zip(names, outcomes, strict=True):
        record = json.loads((outcome.record / "run.ipynb").read_text())
        said = [o["text"] for cell in record["cells"] for o in cell.get("outputs", []) if "text" in o]
        assert said == [f"parent {os.getpid()}\n"], name
        assert record["metadata"]["papermill"].get("attempt", 1) == (1 if name == "later" else 2)
        assert (tmp_path / "marks" / name).read_text().split() == ["begun"] * (1 if name == "later" else 2)


def test_a_run_that_changes_something_is_not_begun_again_when_the_zygote_is_killed(
    own: Path, tmp_path: Path
) -> None:
    """Nobody knows how far it came: it is unknown, and applied again it finds out."""
    zygote = client.warm()["pid"]
    one, killer, other = _suite(tmp_path, zygote, "change", "killer", "other")
    applies = replace(one.procedure, changes=True)
    suite = [replace(one, procedure=applies, parameters={"dry_run": False}), killer, other]
    changed, *looked = execute.run_many(suite, jobs=3)
    assert (changed.document["verdict"], changed.document["cause"]["id"]) == ("unknown", "kernel-died")
    assert "forked from" in changed.document["cause"]["text"]
    assert (tmp_path / "marks" / "change").read_text().split() == ["begun"]
    assert [outcome.document["verdict"] for outcome in looked] == ["critical", "ok"]


def test_a_zygote_that_hangs_is_done_without(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts and says nothing; when it goes on, it forks for nobody."""
    monkeypatch.setattr(client, "_ANSWER_S", 0.2)
    zygote = client.warm()["pid"]
    os.kill(zygote, signal.SIGSTOP)
    try:
        assert run(PARENT).value == os.getpid()
    finally:
        os.kill(zygote, signal.SIGCONT)
    assert within(5, lambda: client.status()["running"])
    assert client.status()["forks"] == 0


def test_only_its_user_can_reach_it() -> None:
    """Folder and socket are private, whatever the umask was."""
    path = client.socket_path()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


STRANGER = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1])
print(repr(s.recv(100)))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_is_refused_even_where_the_socket_is_open_to_all(own: Path, zygote: int) -> None:
    """Modes can be changed by mistake; who speaks is known from the system."""
    client.warm()
    path = client.socket_path()
    for opened, mode in ((path, 0o666), (path.parent, 0o711), (path.parent.parent, 0o711)):
        opened.chmod(mode)
    told = subprocess.run(["/usr/bin/env", "python3", "-c", STRANGER, path], capture_output=True, text=True)
    assert told.stdout.strip() == "b''", told.stderr
    path.parent.chmod(0o700)
    assert run(PARENT).value == client.status()["pid"]


INSIDE = [["unshare", "--mount"], ["unshare", "--pid", "--fork"], ["unshare", "--net"]]


@pytest.mark.parametrize("words", INSIDE, ids=" ".join)
def test_the_same_user_in_another_container_is_refused(words: list[str], zygote: int) -> None:
    """A home that two containers share has sockets of both; a fork for the other would leave its own."""
    if subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine makes no namespaces for us")
    speak = [sys.executable, "-c", STRANGER.replace("os.set", "0 and os.set"), str(client.socket_path())]
    told = [subprocess.run([*one, *speak], capture_output=True, text=True) for one in (words, [])]
    assert told[0].stdout.strip() == "b''", told[0].stderr
    assert "pid" in told[1].stdout, "the same words from here are answered"


LISTENER = """
import json, os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("there", flush=True)
connection, _ = listener.accept()
try:
    connection.sendall(json.dumps({"pid": 0, "fixed": {}}).encode() + b"\\n")
    print(connection.recv(1000))
except (BrokenPipeError, ConnectionResetError): print(b"")
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make another container")
def test_nothing_is_asked_of_a_listener_in_another_container(own: Path) -> None:
    """It would be given the secrets of the run."""
    words = ["unshare", "--pid", "--fork", sys.executable, "-c", LISTENER, str(client.socket_path())]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "there\n"
        with pytest.raises(Cold, match="another container"):
            client.warm()
        assert other.stdout.readline().strip() == "b''"


def test_a_folder_that_others_could_replace_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write where it lies could put another one there; then kernels are plain."""
    monkeypatch.setenv("OPSLIB_KERNELS_HOME", str(tmp_path / "open" / "warm"))
    (tmp_path / "open").mkdir()
    assert client.usable() == ""
    (tmp_path / "open").chmod(0o777)
    assert "all may write in" in client.usable()
    assert run(PARENT).value == os.getpid()
    (tmp_path / "open").chmod(0o1777)
    assert client.usable() == ""


def _linked(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))


FOREIGN: dict[str, Callable[[Path], Any]] = {
    "open to others": lambda folder: folder.chmod(0o755),
    "a link": _linked,
    "a file": lambda folder: folder.rename(folder.with_name("elsewhere")).with_name(folder.name).touch(),
    "somebody else's": lambda folder: os.chown(folder, 65534, 65534),
}


@pytest.mark.parametrize("how", FOREIGN)
@pytest.mark.parametrize("which", ["given", "in the home", "the short one"])
def test_a_folder_that_is_not_ours_alone_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, which: str
) -> None:
    """Who made it first, as anybody can in /tmp, would own the socket; the run goes on, plainly."""
    if how == "somebody else's" and os.getuid() != 0:
        pytest.skip("only root can give a folder away")
    homes = {"given": "home", "in the home": ".", "the short one": "long" * 30}
    monkeypatch.setenv("OPSLIB_HOME", str(tmp_path / homes[which]))
    monkeypatch.setattr(place, "_SHORT", tmp_path)
    if which == "given":
        monkeypatch.setenv("OPSLIB_KERNELS_HOME", str(tmp_path / "run"))
    assert client.usable() == ""
    folder = client.socket_path().parent
    assert folder == tmp_path / (f"opslib-{os.getuid()}" if which == "the short one" else "run")
    FOREIGN[how](folder)
    assert "not a private folder" in client.usable() or "exists" in client.usable()
    with pytest.raises(Cold):
        client.warm()
    assert which != "given" or run(PARENT).value == os.getpid()
    assert list(tmp_path.rglob("*.sock")) == []


def test_what_a_run_is_given_does_not_stay_in_the_zygote(
    zygote: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lives longer than the run: no secret of its starter or of a run is in its memory."""
    run("import os\nassert os.environ['OF_A_RUN']", env={**os.environ, "OF_A_RUN": CANARY})
    assert CANARY.encode() not in _memory(zygote)
    assert b"OPSLIB_HOME=" in _memory(os.getpid()), "the look itself would find something"
    environ = Path(f"/proc/{zygote}/environ").read_text()
    assert "OPSLIB" not in environ and "JUPYTER" not in environ


def test_nothing_that_a_run_says_is_written_where_the_zygote_lives(kernels_home: Path, zygote: int) -> None:
    """Neither what it prints past its streams, nor how it dies; its log is for the zygote's own words."""
    tell = "import ctypes, os\nsaid = os.environ['OF_A_RUN'].encode()\nos.write(1, said); os.write(2, said)"
    dead = asyncio.run(running(tell, "ctypes.string_at(0)", env={**os.environ, "OF_A_RUN": CANARY}))
    assert dead.ending.cause == "kernel-died" and CANARY in dead.stderr
    assert client.socket_path().with_suffix(".log").is_file()
    kept = [
        path for path in kernels_home.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()
    ]
    assert kept == []


def _memory(pid: int) -> bytes:
    """Return all that a process has written in its memory."""
    found = bytearray()
    try:
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
                place, mode = line.split()[:2]
                if mode.startswith("rw") and "[v" not in line:
                    start, end = (int(part, 16) for part in place.split("-"))
                    memory.seek(start)
                    found += memory.read(min(end - start, 1 << 28))
    except PermissionError:
        pytest.skip("this machine lets nobody look into another process")
    return bytes(found)


def test_of_two_that_start_at_once_one_zygote_comes(own: Path) -> None:
    """Both get a kernel of the same."""
    words = [sys.executable, "-c", "from opslib.kernels import client; print(client.warm()['pid'])"]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    pids = {process.communicate(timeout=60)[0].strip() for process in both}
    assert len(pids) == 1 and pids != {""}


def test_another_name_of_the_same_interpreter_has_the_same_zygote(zygote: int, tmp_path: Path) -> None:
    """`opslib` may be run by `python3` where JupyterLab is run by `python`; each sees its own name."""
    other = Path(sys.executable).with_name("python3" if Path(sys.executable).name == "python" else "python")
    if not other.exists():
        pytest.skip("this environment has one name for its interpreter")
    look = "from tests.warmth import run\n"
    look += "print(run('import os, sys; print(os.getppid(), sys.executable)').text)"
    done = subprocess.run(
        [str(other), "-c", look], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(zygote), str(other)]


def test_one_that_was_begun_by_somebody_who_gave_up_is_waited_for(own: Path) -> None:
    """Whoever starts one and is stopped meanwhile leaves it beginning, and the next would start a second."""
    reading, writing = os.pipe()
    here = place.here()
    words = ["--socket", str(here.socket), "--lock", str(here.listening), "--ready", str(writing)]
    begun = subprocess.Popen(
        [sys.executable, "-m", "opslib.kernels.zygote", *words], cwd="/", pass_fds=(writing,),
        env=environ.for_zygote(os.environ), stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    os.close(writing)
    assert within(10, lambda: here.listening.exists() and held(here.listening))
    assert not here.socket.exists()
    assert client.warm()["pid"] == begun.pid
    os.close(reading)
    client.stop(now=True)
    assert begun.wait() == 0


def held(lock: Path) -> bool:
    """Return whether somebody else holds a lock."""
    with lock.open("rb") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_it_ends_when_nobody_has_needed_it_for_long(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And leaves no socket."""
    monkeypatch.setenv("OPSLIB_KERNELS_IDLE_S", "0.1")
    zygote, path = client.warm()["pid"], client.socket_path()
    assert gone(zygote) and not path.exists()


def test_it_does_not_end_as_long_as_a_kernel_lives(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle is without a kernel, not without a new one."""
    monkeypatch.setenv("OPSLIB_KERNELS_IDLE_S", "0.1")
    done = run(PARENT, "import time\ntime.sleep(2.5)", PARENT)
    assert done.text.split() == [done.text.split()[0]] * 2


@pytest.mark.parametrize("kernel", [FORKED, PLAIN])
def test_nothing_is_lost_of_what_comes_faster_than_it_is_read(
    kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel waits for its reader; else outputs are lost, and the word that the cell has ended."""
    monkeypatch.setattr(reader, "_LATE_S", 5)
    forks = client.status()["forks"]
    monkeypatch.setattr(reader.Client, "_clears", lambda self, msg: time.sleep(0.0003))
    done = run("for number in range(4000): display(number)", kernel=kernel)
    assert kernel == PLAIN or client.status()["forks"] > forks
    assert len(done.notebook.cells[0].outputs) == 1001
    assert "output cut: 12,000 characters" in done.text, "3,000 numbers of four digits"


def test_a_cell_whose_end_is_not_heard_of_is_not_taken_for_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it showed may be lost, the verdict too; so nothing more is run."""
    monkeypatch.setattr(reader, "_LATE_S", 1)
    mute = "import zmq\nget_ipython().kernel.iopub_socket = zmq.Context.instance().socket(zmq.PUB)"
    done = asyncio.run(running(mute, "print('end')"))
    assert done.ending.cause == "timed-out" and done.ending.cell == 1
    assert "what cell 1 showed did not arrive" in done.ending.text and not done.text


def test_who_has_it_warmed_finds_it_for_the_whole_time(zygote: int) -> None:
    """It would else end in the moment before the first kernel; who asks how it is keeps it from nothing."""
    assert within(10, lambda: client.status()["unused_s"] > 0.2)
    long = client.status()["unused_s"]
    client.warm()
    assert within(5, lambda: client.status()["unused_s"] < long), "asking how it is counts as no use"


OWNER = "import time\nfrom opslib.kernels import client\nclient._owner.append(True)\n" \
    "print(client.warm()['pid'], flush=True)\ntime.sleep(600)"  # fmt: skip


def test_it_ends_with_its_owner_however_that_ends(own: Path) -> None:
    """A service that keeps kernels warm leaves nothing when it is killed."""
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    zygote = int(owner.stdout.readline())
    owner.kill()
    owner.communicate()
    assert gone(zygote)
    with client.owned():
        zygote = client.warm()["pid"]
        assert run(PARENT).value == zygote
    assert gone(zygote)


def test_it_ends_when_its_home_is_removed(own: Path) -> None:
    """Nobody could find it any more."""
    zygote = client.warm()["pid"]
    shutil.rmtree(own / "run")
    assert gone(zygote)


def test_an_edited_module_is_used_by_the_next_run(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a restart by hand, and a run that goes on meanwhile is left alone."""
    root = Path(__file__).parents[1]
    shutil.copytree(root / "opslib", own / "code" / "opslib")
    monkeypatch.setenv("PYTHONPATH", str(own / "code"))
    look = (
        "from opslib.checks import compare\nimport os, time\nprint(hasattr(compare, 'EDITED'), os.getppid())"
    )
    edited = own / "code" / "opslib" / "checks" / "compare.py"

    async def both() -> list[warmth.Done]:
        first = await running(look, cwd=own)
        seen = asyncio.Event()
        slow = asyncio.create_task(
            running(
                "1", "import time\ntime.sleep(3)\nprint('to the end')", cwd=own, on_cell=lambda _: seen.set()
            )
        )
        await seen.wait()
        edited.write_text(edited.read_text() + "\nEDITED = True\n")
        return [first, await running(look, cwd=own), await slow]

    before, after, slow = (done.text.split() for done in asyncio.run(both()))
    assert (before[0], after[0], slow) == ("False", "True", ["to", "the", "end"])
    assert before[1] != after[1] != str(os.getpid())


def test_what_is_new_upgraded_or_gone_is_as_for_a_plain_kernel(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is found before a package, another version of it, its end; and settings that are new."""
    for folder in ("code", "settings"):
        (own / folder).mkdir()
    monkeypatch.setenv("PYTHONPATH", str(own / "code"))
    monkeypatch.setenv("MPLCONFIGDIR", str(own / "settings"))
    for fonts in Path(matplotlib.get_cachedir()).glob("fontlist-*.json"):
        shutil.copy(fonts, own / "settings")  # else all fonts of the machine are looked through once more
    look = "import cycler, json, matplotlib, os\nwidth = matplotlib.rcParams['lines.linewidth']\n"
    look += f"print(json.dumps([getattr(cycler, 'OWN', 0), width, os.getppid() == {os.getpid()}]))"

    def now() -> list[Any]:
        found: list[Any] = run(look, cwd=own).value
        return found

    source = Path(cycler.__file__).read_text()
    mine = own / "code" / "cycler.py"
    assert now() == [0, 1.5, False]
    mine.write_text(f"{source}\nOWN = 1\n")
    assert now() == [1, 1.5, False]
    newer = mine.with_suffix(".tmp")
    newer.write_text(f"{source}\nOWN = 2\n")
    newer.replace(mine)
    assert now() == [2, 1.5, False]
    (own / "settings" / "matplotlibrc").write_text("lines.linewidth: 7\n")
    assert now() == [2, 7.0, False]
    mine.unlink()
    assert now() == [0, 7.0, False]


def test_a_zygote_that_cannot_start_costs_nothing_but_time(
    own: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The kernel is plain, and why is said once."""
    (own / "broken").mkdir()
    (own / "broken" / "tornado.py").write_text("raise SystemExit('no wind')")
    monkeypatch.setenv("PYTHONPATH", str(own / "broken"))
    monkeypatch.setattr(client, "START_S", 5.0)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for _ in range(2):
        assert run(PARENT, env={**env}).value == os.getpid()
    said = [record for record in caplog.records if record.name == "opslib.kernels"]
    assert len(said) == 1 and "no wind" in said[0].getMessage()


def test_the_opt_out_forks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """One variable, for a night on which nothing new is wanted."""
    monkeypatch.setenv("OPSLIB_KERNELS", "plain")
    assert run(PARENT).value == os.getpid()
    with pytest.raises(Cold, match="OPSLIB_KERNELS"):
        client.warm()


def test_our_runs_need_no_kernelspec_installed_and_take_nobody_elses(
    own: Path, zygote: int, tmp_path: Path
) -> None:
    """A spec of that name in the home folder may belong to another interpreter."""
    path = own / "share" / "jupyter" / "kernels" / "opslib" / "kernel.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "argv": ["false"]}))
    done = execute.run(small.request(tmp_path, PARENT, small.verdict("ok")))
    assert str(client.status()["pid"]) in (done.record / "run.ipynb").read_text()


def test_stock_papermill_runs_on_the_spec(tmp_path: Path, zygote: int) -> None:
    """Without a word about opslib but the kernel's name."""
    from nbformat import v4, write

    write(v4.new_notebook(cells=[v4.new_code_cell(PARENT)]), tmp_path / "in.ipynb")
    words = [
        sys.executable,
        "-m",
        "papermill",
        "-k",
        FORKED,
        str(tmp_path / "in.ipynb"),
        str(tmp_path / "out.ipynb"),
    ]
    subprocess.run(words, check=True, capture_output=True)
    assert str(zygote) in (tmp_path / "out.ipynb").read_text()


def test_a_jupyter_server_starts_interrupts_restarts_and_ends_it(zygote: int, tmp_path: Path) -> None:
    """What JupyterLab does with a kernel, through the manager that it uses."""
    from jupyter_client.multikernelmanager import AsyncMultiKernelManager

    async def session() -> list[Any]:
        managers = AsyncMultiKernelManager(connection_dir=str(tmp_path))
        name = await managers.start_kernel(
            kernel_name=FORKED, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        manager = managers.get_kernel(name)
        kernel = manager.client()
        kernel.start_channels()
        await kernel.wait_for_ready(timeout=30)
        first = manager.provisioner.pid
        asked = kernel.execute("print('in the loop', flush=True)\nwhile True: pass")
        while (await kernel.get_iopub_msg(timeout=20))["msg_type"] != "stream":
            pass
        await manager.interrupt_kernel()
        while (reply := await kernel.get_shell_msg(timeout=20))["parent_header"].get("msg_id") != asked:
            pass
        await manager.restart_kernel(now=True)
        await kernel.wait_for_ready(timeout=30)
        second, alive = manager.provisioner.pid, await manager.is_alive()
        kernel.stop_channels()
        await managers.shutdown_kernel(name)
        return [reply["content"]["ename"], first, second, alive]

    error, first, second, alive = asyncio.run(session())
    assert error == "KeyboardInterrupt" and alive and first != second
    assert gone(first) and gone(second)
    assert client.warm()["pid"] == zygote


def test_status_and_stop_are_told_on_the_command_line(own: Path) -> None:
    """For people in words, for programs as one object."""
    said = CliRunner()

    def told(*words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(said.invoke(cli, ["kernels", *words, "--json"]).output)
        return found

    assert told("status")["running"] is False
    assert "next run starts it" in said.invoke(cli, ["kernels", "status"]).output
    pid = client.warm()["pid"]
    status = told("status")
    assert (status["pid"], status["kernels"], status["usable"]) == (pid, [], "")
    assert status["memory"]["pss"] > 0 and str(pid) in said.invoke(cli, ["kernels", "status"]).output
    assert told("stop")["pid"] == pid
    assert gone(pid)
    assert "nothing to stop" in said.invoke(cli, ["kernels", "stop"]).output


@pytest.mark.parametrize("words, said", [("status", "forked on Linux only"), ("stop", "nothing to stop")])
def test_where_nothing_can_be_forked_the_command_line_says_so(
    monkeypatch: pytest.MonkeyPatch, words: str, said: str
) -> None:
    """As on macOS, which has no /proc either: that is no error."""

    def nowhere() -> NoReturn:
        raise FileNotFoundError("/proc/self/ns/cgroup")

    monkeypatch.setattr("opslib.kernels.client.sys.platform", "darwin")
    monkeypatch.setattr(client, "here", nowhere)
    told = CliRunner().invoke(cli, ["kernels", words])
    assert said in told.output and told.exit_code == 0
    found = json.loads(CliRunner().invoke(cli, ["kernels", words, "--json"]).output)
    assert found["running"] is False and "Linux" in found["usable"]


def test_stop_waits_for_kernels_and_stop_now_does_not(own: Path) -> None:
    """Whoever stops it need not think of the run that is on."""

    async def stopped(now: bool) -> warmth.Done:
        seen = asyncio.Event()
        slow = asyncio.create_task(
            running("1", "import time\ntime.sleep(2)\nprint('end')", on_cell=lambda text: seen.set())
        )
        await seen.wait()
        client.stop(now=now)
        return await slow

    assert asyncio.run(stopped(False)).text == "end\n"
    assert asyncio.run(stopped(True)).ending.cause == "kernel-died"


def test_the_spec_is_installed_where_it_is_wanted(tmp_path: Path) -> None:
    """Its command is that of python3, so that it works without us too."""
    done = CliRunner().invoke(cli, ["kernels", "install", "--prefix", str(tmp_path), "--json"])
    folder = Path(json.loads(done.output)["folder"])
    found = json.loads((folder / "kernel.json").read_text())
    assert found["argv"][1:] == ["-m", "ipykernel_launcher", "-f", "{connection_file}"]
    assert found["metadata"]["kernel_provisioner"]["provisioner_name"] == "opslib-fork"
    assert {path.name for path in folder.iterdir()} > {"logo-64x64.png"}
    both = CliRunner().invoke(cli, ["kernels", "install", "--user", "--prefix", "x"])
    assert both.exit_code != 0
