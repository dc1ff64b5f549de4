"""Where records are kept: statement, atomic store, index."""
