"""What a notebook holds: `ops = start(...)`, and about a dozen names on it."""

from opslib.run.session import Ops, start

__all__ = ["Ops", "start"]
