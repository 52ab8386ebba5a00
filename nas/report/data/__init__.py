"""Runs as data: found, read, grouped, compared."""
