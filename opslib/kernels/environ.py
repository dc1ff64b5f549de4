"""The environment of the zygote: what interpreter and libraries read at their start, and nothing else.

A fork gets its own variables, but what was read before cannot be read again. So a caller whose value of
one of these differs from the zygote's gets a plain kernel; and no other variable goes into the zygote,
because it lives longer than the run whose secrets they may hold.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

_READ_AT_START = re.compile(
    r"(PYTHON|LD_|MALLOC_|GLIBC_|OPENBLAS_|OMP_|MKL_|NUMPY_|NPY_|PANDAS_|PSYCOPG_|MPLCONFIGDIR$|MATPLOTLIBRC$"
    r"|OPENSSL_|XDG_CONFIG_HOME$|XDG_CACHE_HOME$|HOME$)"
)
_LOOKS_SECRET = re.compile(r"TOKEN|SECRET|PASS|KEY|CREDENTIAL|AUTH|DSN")
# Wanted by the zygote itself; a fork may differ in them.
_PLAIN = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "USER", "LOGNAME", "TMPDIR")
# numpy's OpenBLAS starts threads as it is imported, and a fork has none of its parent's.
_OWN = {"OPENBLAS_NUM_THREADS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}


def for_zygote(caller: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a zygote that a caller with this environment starts."""
    plain = {name: caller[name] for name in _PLAIN if name in caller}
    return {**plain, **_OWN, **_fixed(caller)}


def fixed(environment: Mapping[str, str], cwd: str) -> dict[str, str]:
    """Return what is fixed once an interpreter with this environment has started in this directory."""
    own = {name: value for name, value in _fixed(environment).items() if _OWN.get(name) != value}
    if "PYTHONPATH" in own:
        # An empty part, as in `$PYTHONPATH:/own`, is the directory of the start.
        parts = own["PYTHONPATH"].split(os.pathsep)
        own["PYTHONPATH"] = os.pathsep.join(str(Path(cwd, part)) for part in parts)
    return {**own, "charset": _charset(environment)}


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """Return the names in which two results of `fixed` differ."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def _fixed(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if _READ_AT_START.match(name) and not _LOOKS_SECRET.search(name)
    }


def _charset(environment: Mapping[str, str]) -> str:
    """Return the encoding of file names: Python takes UTF-8 unless the locale names another one."""
    given = (environment.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    chosen = next(filter(None, given), "")
    charset = chosen.partition(".")[2].partition("@")[0].lower().replace("-", "")
    return chosen if charset not in ("", "utf8") else "utf8"
