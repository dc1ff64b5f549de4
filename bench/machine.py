"""The machine and the versions that figures were taken with."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from bench.process import ROOT

_PACKAGES = ("papermill", "nbclient", "jupyter_client", "ipykernel", "jupyterlab", "pandas", "matplotlib")
_GIB = 1 << 30


def facts(command: str) -> dict[str, str]:
    """Return what a reader needs to compare the figures with others; asked for before anything runs."""
    memory = psutil.virtual_memory().total / _GIB
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "command": command,
        "machine": f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}",
        "load": f"{os.getloadavg()[0]:.1f} before the start (a quiet machine has nearly 0)",
        "opslib": f"{version('opslib')}, {_commit()}",
        "Python": platform.python_version(),
        "packages": ", ".join(f"{name} {_version(name)}" for name in _PACKAGES),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str:
    try:
        words = ["git", "describe", "--always", "--dirty"]
        told = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "commit not known"
    return f"commit {told.stdout.strip()}"
