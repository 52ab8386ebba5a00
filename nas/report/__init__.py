"""Figures of finished and unfinished runs."""
