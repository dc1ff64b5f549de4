"""Is the database itself in good order: space, memory, dead rows, transaction ids, indexes, replication."""
