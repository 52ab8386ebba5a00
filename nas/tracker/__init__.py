"""Trackers: they show, log or store the progress of a run."""
