"""`ops.files`: the buckets that the system's file declares, their copies, and files to be copied."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from opslib import config, frames
from opslib.config.files import SUPABASE
from opslib.errors import NotNamed
from opslib.files import choosing, inventory, places
from opslib.files.copying import Wanted
from opslib.files.inventory import CANNOT_LOOK, Inventory
from opslib.files.supabase import SupabaseBucket

BUCKETS = ("place", "bucket", "public", "declared")
_MB = 1_000_000


class FileSource:
    """`ops.files`: the files of one system.

    Args:
        env: whose.
        record: receives a record of each request.
    """

    def __init__(self, env: config.Environment, record: places.Record) -> None:
        self._env, self._record = env, record

    def inventory(self, read_mb: int = 200) -> tuple[Inventory, ...]:
        """List every declared bucket and its copy, and compare them.

        Args:
            read_mb: of a copy in a folder so much is hashed; so much is read where entity tags differ.
        """
        env = self._env
        return tuple(
            inventory.look(env, name, self._record, most_bytes=read_mb * _MB) for name in env.system.files
        )

    def buckets(self) -> pd.DataFrame:
        """Return all buckets of the vendors that tell; columns `BUCKETS`, declared "" where nobody did.

        At S3 a key may see one bucket only, so nobody is asked for all.
        """
        access = self._env.vendors.get(SUPABASE)
        names = self._declared()
        if access is None or not names:
            return pd.DataFrame(columns=list(BUCKETS))
        try:
            found = SupabaseBucket(access, "", resolver=self._env.resolver, on_call=self._record).buckets()
        except CANNOT_LOOK as error:
            return frames.unavailable(BUCKETS, error.message, absent=isinstance(error, NotNamed))
        rows = [(SUPABASE, name, public, names.get(name, "")) for name, public in found.items()]
        return pd.DataFrame(rows, columns=list(BUCKETS))

    def asked(
        self, action: str, bucket: str, key: str, to: str, *, most_files: int, read_mb: int
    ) -> choosing.Asked:
        """Return what a person asks for, if it can be meant.

        Raises:
            ParameterError: there is no such bucket, or a restore lacks its bucket or key.
        """
        return choosing.asked(self._env, action, bucket, key, to, most=most_files, most_bytes=read_mb * _MB)

    def wanted(self, seen: Sequence[Inventory], wish: choosing.Asked) -> list[Wanted]:
        """Return the files that are asked for, each read to know its checksum.

        Raises:
            ParameterError: the copy has no file of that name.
        """
        return choosing.wanted(self._env, seen, wish, self._record)

    def _declared(self) -> dict[str, str]:
        """Return bucket -> name in the system's file, of those at Supabase; a copy may be there, too."""
        found = {}
        for name, spec in self._env.system.files.items():
            if spec.at == SUPABASE:
                found[places.bucket(self._env, name)] = name
            if spec.copy_to and spec.copy_to.at == SUPABASE:
                found[spec.copy_to.bucket] = f"{name}, copy"
        return found
