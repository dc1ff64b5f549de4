"""Read-only access to PostgreSQL with packaged statements."""

from opslib.pg.database import DOOR_COLUMNS, Database

__all__ = ["DOOR_COLUMNS", "Database"]
