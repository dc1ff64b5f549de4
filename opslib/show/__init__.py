"""Banner, tables and plots."""
