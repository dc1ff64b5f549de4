"""Outside the kernel: run a notebook, keep what happened."""
