"""Evidence: what happened stands in a log that can only grow, and anybody can check it."""
