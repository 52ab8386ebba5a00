"""Tasks: one class for each command, chosen with ``task=NAME``."""
