"""Evolutionary multi-objective neural architecture search on weight-sharing supernets."""

__version__ = "0.1.0"
