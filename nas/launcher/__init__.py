"""Launchers: where the runs of a sweep happen."""
