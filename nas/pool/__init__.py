"""Pools: stored outputs of many trained models, from which cascades and ensembles are built."""
