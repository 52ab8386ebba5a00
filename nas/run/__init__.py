"""Folder of a run: archive, settings, results, status, and the run that is finished."""
