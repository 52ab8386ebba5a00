"""Launchers: they start the runs of a sweep on this machine or on a cluster."""
