"""Cascades and ensembles: their spaces, costs, evaluation, networks."""
