"""What every app answers in the sandbox, beyond what its runbook names.

Most runbooks have no endpoint that tells of the database and the connection pool, so those faults
could not be rehearsed on their systems. In the sandbox each app has one, and a front page to open in a
browser; no other environment has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opslib.config.parts import Endpoint

if TYPE_CHECKING:
    from opslib.config.model import System

ENDPOINT = Endpoint.model_validate(
    {
        "name": "rehearsal",
        "path": "/api/rehearsal/health",
        "expect": {"status": ["ok"], "database": ["connected"]},
        "pool": "pool",
        "source": "sandbox",
    }
)

FRONT_PAGE = Endpoint(name="front-page", path="/", source="sandbox")


def health(system: System) -> tuple[Endpoint, ...]:
    """Return the health endpoints of a system's app in the sandbox."""
    declared = tuple(system.health)
    return declared if any(endpoint.pool for endpoint in declared) else (*declared, ENDPOINT)
