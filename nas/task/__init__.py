"""Tasks: what one command does."""
