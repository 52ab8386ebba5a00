"""Cascades and ensembles: search spaces, costs, evaluation and networks."""
