"""One procedure on one system over time: what was run, what was missed, what is still open."""
