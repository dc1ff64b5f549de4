"""Backups of a system's database: taken, kept, read back, restored, and compared."""
