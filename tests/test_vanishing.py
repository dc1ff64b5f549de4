"""What was fetched for a while goes with whoever fetched it."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from opslib.backup import vanishing

_HOLDS = """
import sys
import tempfile
from pathlib import Path
from opslib.backup import vanishing
with vanishing.folder("opslib-test-") as place:
    Path(place, "secret").write_text("rows of production")
    print(place, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, None])
def test_it_is_gone_however_its_maker_ends(number: signal.Signals | None) -> None:
    """A kernel that is killed in a drill must not leave the data of production behind."""
    words = [sys.executable, "-c", _HOLDS]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as maker:
        assert maker.stdin and maker.stdout
        place = Path(maker.stdout.readline().strip())
        assert (place / "secret").exists()
        assert place.stat().st_mode & 0o77 == 0
        (remover,) = psutil.Process(maker.pid).children()
        if number is None:
            maker.stdin.close()
        else:
            maker.send_signal(number)
        maker.wait(timeout=20)
        psutil.wait_procs([remover], timeout=20)
    assert not place.exists()


def test_where_nobody_can_watch_over_it_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the one who removes it, nothing may be put there."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(OSError, match="nowhere"), vanishing.folder("opslib-test-"):
        pass
    assert not list(tmp_path.iterdir())
