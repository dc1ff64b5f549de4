"""What is known to be secret, or looks it, is left nowhere: in no file, and in nothing that was said."""

from __future__ import annotations

import base64
import gzip
import html
import io
import json
import re
import signal
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from opslib import catalog
from opslib.kernels.place import here
from opslib.runner import crash
from opslib.runner.execute import run
from opslib.runner.request import Request
from opslib.sandbox.postgres import Cluster, Ground
from tests import browsing, leaking
from tests.leaking import CHANNELS, FOUND, KEY, KNOWN, MAIL, PASSWORD, PHONE, TOKEN, TYPED
from tests.servers import serving
from tests.shop import Project
from tests.waiting import wait

SHOP = ("--system", "shop")
MARK = re.compile(r"\[redacted:([^\[\]]+)\]")


@dataclass
class Left:
    """What a project has left behind, and all that it has said.

    Args:
        project: where it is.
        said: what was printed, and which pages were served, by where it came from.
        spool: what a killed runner had left, before it was taken up.
    """

    project: Project
    said: dict[str, str] = field(default_factory=dict)
    spool: list[leaking.Text] = field(default_factory=list)

    def opslib(self, *words: str, code: int | None = None) -> str:
        """Run a command here, and keep what it says."""
        done = self.project.here(*words)
        assert code is None or done.returncode == code, done
        return self.tell(" ".join(words), done.stdout, done.stderr)

    def apart(self, *words: str) -> str:
        """Run a command in a process of its own, and keep what it says."""
        done = self.project.opslib(*words)
        return self.tell(" ".join(words), done.stdout, done.stderr)

    def tell(self, where: str, *said: str) -> str:
        """Keep what was said, and return the first of it."""
        self.said[f"said by {where}"] = "\n".join(said)
        return said[0]

    def record(self, procedure: str) -> Path:
        """Return the folder of the first record of a procedure."""
        found = sorted((self.project.archive / "runs").rglob("run.json"))
        return next(path.parent for path in found if f'"runbook": "{procedure}"' in path.read_text())

    def told(self, procedure: str) -> dict[str, Any]:
        """Return what a record says of masking."""
        stated = json.loads((self.record(procedure) / "run.json").read_text(encoding="utf-8"))
        return dict(stated["predicate"]["redaction"])

    def marks(self, procedure: str) -> Counter[str]:
        """Return what stands in the place of secrets in a record, and how often."""
        notebook = (self.record(procedure) / "run.ipynb").read_text(encoding="utf-8")
        stated = json.loads((self.record(procedure) / "run.json").read_text(encoding="utf-8"))["predicate"]
        own = [stated["runDefinition"]["externalParameters"], (stated["error"] or {}).get("text")]
        return Counter(MARK.findall(f"{notebook} {json.dumps(own)}"))


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    """Runs that show all they know, in all ways; one breaks, one dies, one hangs, one is killed."""
    with ExitStack() as held:
        patch = held.enter_context(pytest.MonkeyPatch.context())
        ground = Ground(PASSWORD)
        held.callback(ground.close)
        url = held.enter_context(serving(leaking.vendor))
        made = Left(leaking.build(tmp_path_factory.mktemp("leaks"), patch, _database(ground), url))
        _run(made)
        _ask(made)
        yield made


def _database(ground: Ground) -> str:
    """Return the address of a real database that knows somebody."""
    cluster = Cluster(ground, "leaks", 0)
    cluster.create(ground.template())
    cluster.start()
    place = {"host": str(cluster.socket_directory), "port": str(cluster.port), "dbname": "postgres"}
    with psycopg.connect(make_conninfo(**place, user="postgres", password=PASSWORD)) as connection:
        connection.execute("create table people (mail text, phone text, note text)")
        connection.execute("insert into people values (%s, %s, %s)", (MAIL, PHONE, f"has {KEY} of {TOKEN}"))
    return (
        f"postgresql://postgres:{quote(PASSWORD, safe='')}@/postgres?host={place['host']}&port={cluster.port}"
    )


def _run(left: Left) -> None:
    project = left.project
    left.apart("run", "leaks", *SHOP, "--json", "-p", f"note={TOKEN} of {MAIL}")
    left.apart("run", "slow", *SHOP, "--cell-timeout", "2")
    left.opslib("run", "skipped", *SHOP, "-p", f"note={PASSWORD} of {MAIL}", code=3)
    left.opslib("schedule", "tick")
    request = Request(
        catalog.load().get("dies"), "shop", "production", {}, project.archive, secret_input=TYPED
    )
    left.tell("a kernel that died", run(request).text)
    _kill(left)


def _kill(left: Left) -> None:
    """Kill a runner in the middle, and keep what it had in its spool."""
    words = [sys.executable, "-m", "opslib", "run", "hangs", *SHOP]
    with subprocess.Popen(
        words, cwd=left.project.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as runner:
        spool = left.project.home / "spool"
        wait(lambda: _seen(spool))
        runner.send_signal(signal.SIGKILL)
        left.tell("a runner that was killed", runner.communicate()[0])
    left.spool += leaking.written(spool)


def _seen(spool: Path) -> bool:
    """Return whether the spool has what the notebook printed, and how much of it was masked."""
    saved = [path.read_text() for path in spool.glob("*/run.ipynb") if (path.parent / "masked.json").exists()]
    return any("] seen" in text for text in saved)


def _ask(left: Left) -> None:
    """Have everything told of the runs that there is a command or a page for."""
    latest = json.loads(left.opslib("history", "--json"))["runs"]
    first, last = latest[-1]["run_id"], latest[0]["run_id"]
    for words in (
        ("history",), ("show", first), ("show", first, "--json"), ("search", "redacted"), ("verify",),
        ("diff", first, last), ("report", first), ("report", "leaks", *SHOP), ("schedule", "list"),
        ("annotate", first, f"it was {TOKEN}, {PASSWORD}"), ("doctor", *SHOP),
        ("run", "leaks", *SHOP, "--json", "-p", f"{TOKEN}=1"),
        ("export", str(left.project.root / "out.zip"), "--control", "CC7.2", "--from", "1d", "--to", "0m"),
    ):  # fmt: skip
        left.opslib(*words)
    left.apart("run", "leaks", *SHOP, "--json", "-p", f"count={TOKEN}")
    with browsing.served(left.project.archive) as server:
        for page in (*browsing.every_page(first, last), "/?words=redacted"):
            left.tell(f"the page {page}", browsing.asked(server, page).text)
    try:
        raise ValueError(f"cannot use {TOKEN} for {MAIL}") from KeyError(PASSWORD)
    except ValueError as error:
        left.tell("a crash", str(crash.keep(error)))


def test_no_secret_can_be_read_in_anything_that_was_written_or_said(left: Left) -> None:
    """Neither whole nor half, in no encoding: records, index, log, pages, exports, spools, messages."""
    kernels = here().folder
    everything = [*leaking.written(left.project.root, kernels), *left.spool]
    everything += [text for where, said in left.said.items() for text in leaking.packed(where, said.encode())]
    assert not [where for where, said in left.said.items() if "itself broke" in said]
    assert (
        (left.project.root / "out.zip").exists()
        and len(everything) > 200
        and len(left.spool) > 3
        and len(left.said) > 20
    )
    assert leaking.leaks(everything) == []


@pytest.mark.parametrize(
    "channel", [*CHANNELS, "a run that broke", "a dead kernel", "a hanging cell", "a killed run"]
)
def test_every_channel_spoke_and_was_masked(left: Left, channel: str) -> None:
    """A channel that says nothing leaks nothing, and proves nothing."""
    others = {
        "a run that broke": "breaks",
        "a dead kernel": "dies",
        "a hanging cell": "slow",
        "a killed run": "hangs",
    }
    procedure = others.get(channel, "leaks")
    notebook = json.loads((left.record(procedure) / "run.ipynb").read_text(encoding="utf-8"))
    code = CHANNELS.get(channel) or leaking.PROCEDURES[procedure][1]
    (cell,) = [c for c in notebook["cells"] if "".join(c["source"]).strip() == code.strip()]
    assert MARK.search(json.dumps(cell["outputs"])), cell["outputs"]
    assert not [
        o
        for o in cell["outputs"]
        if o["output_type"] == "error" and procedure == "leaks" and channel != "exceptions"
    ]


def test_the_statement_counts_each_mark_that_stands_in_the_notebook(left: Left) -> None:
    """Who audits can count them again; a killed run's too."""
    for procedure in ("breaks", "hangs", "slow", "skipped"):
        told = left.told(procedure)
        assert {**told["masked"], **told["found"]} and told["withheld"] == 0
        assert left.marks(procedure) == Counter({**told["masked"], **told["found"]}), procedure


def test_each_kind_of_secret_is_told_by_its_name(left: Left) -> None:
    """An auditor sees that there was something, and what, never a silent hole."""
    told = left.told("leaks")
    assert {"SHOP_TOKEN", "SHOP_DSN", "SHOP_DSN password", "former"} <= told["masked"].keys()
    assert {"stripe-key", "e-mail", "phone", "url-password"} <= told["found"].keys()
    assert "input" in left.told("dies")["masked"]
    skipped = json.loads((left.record("skipped") / "run.json").read_text(encoding="utf-8"))
    given = skipped["predicate"]["runDefinition"]["externalParameters"]["parameters"]
    assert given == {"note": "[redacted:SHOP_DSN password 2] of [redacted:e-mail]"}


def test_pictures_that_nobody_looked_into_are_counted(left: Left) -> None:
    """Of pixels nobody knows what they say, and the page tells how many there are."""
    assert left.told("leaks")["unscanned"] == {"image/png": 4} and left.told("slow")["unscanned"] == {}
    assert "4 not looked into: image/png" in (left.record("leaks") / "run.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*KNOWN, *FOUND])
def test_the_eyes_find_what_is_hidden_as_these_notebooks_hide_it(name: str, tmp_path: Path) -> None:
    """Else nothing found would mean nothing."""
    value = {**KNOWN, **FOUND}[name]
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("within.txt", value)
    hidden = [
        value, value[: len(value) // 2 + 2], json.dumps({"v": json.dumps(value)}), quote(value, safe=""),
        html.escape(value), "<b></b>".join(value), "\n".join(value), value[::-1], value.encode().hex(),
        base64.b64encode(b"ab" + value.encode()).decode(), base64.b64encode(zipped.getvalue()).decode(),
        base64.b64encode(gzip.compress(value.encode())).decode(),
    ]  # fmt: skip
    for text in hidden:
        assert leaking.leaks(leaking.packed("here", f"so: {text}.".encode())), text
    (tmp_path / "file").write_bytes(zipped.getvalue())
    assert len(leaking.leaks(leaking.written(tmp_path))) == 1
    assert leaking.leaks(leaking.packed("here", b"nothing at all")) == []
