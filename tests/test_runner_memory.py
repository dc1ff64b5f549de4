"""The process that runs suites does not grow with them."""

from __future__ import annotations

import platform
import random
import subprocess
import sys

import pytest

from opslib.masking import Masker
from opslib.masking.seen import _REMEMBERED_MOST, Seen

# What four threads hold at the same time, and in how many places glibc has put it.
PLACES = """
import ctypes, tempfile, threading
from opslib.runner import execute
execute.run_many([])
libc, held, all_hold = ctypes.CDLL(None), [], threading.Barrier(5)
libc.malloc.restype = ctypes.c_void_p
def hold():
    held.append(libc.malloc(3000))
    all_hold.wait()
threads = [threading.Thread(target=hold) for _ in range(4)]
for thread in threads: thread.start()
all_hold.wait()
libc.fopen.restype = ctypes.c_void_p
with tempfile.NamedTemporaryFile() as file:
    told = ctypes.c_void_p(libc.fopen(file.name.encode(), b"w"))
    libc.malloc_info(0, told)
    libc.fclose(told)
    print(file.read().decode().count("<heap nr="))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has several places")
def test_threads_that_seal_share_one_place_for_their_memory() -> None:
    """What one has let go of, the next one takes."""
    done = subprocess.run([sys.executable, "-c", PLACES], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


def test_texts_of_ended_runs_are_forgotten() -> None:
    """And those that are met again and again are not looked at anew."""
    chance, seen = random.Random(5), Seen()
    seen.put(["the source of a cell"], {})
    for number in range(40):
        seen.put([f"{number} {chance.randbytes(_REMEMBERED_MOST // 20).hex()}"], {})
        assert not seen.dirty(["the source of a cell"])
    assert "the source of a cell" in seen
    assert sum(map(len, seen._texts)) <= _REMEMBERED_MOST


def test_a_secret_is_masked_again_where_its_text_was_forgotten() -> None:
    """However much came in between."""
    masker = Masker({"token": "sk-live-51b9c0aa77"})
    chance = random.Random(6)
    for _ in range(3):
        assert "sk-live" not in masker.mask("the token is sk-live-51b9c0aa77")
        masker.mask_json([chance.randbytes(_REMEMBERED_MOST // 8).hex() for _ in range(6)])
