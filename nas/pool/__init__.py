"""Pools: the stored outputs of many trained models, which cascades and ensembles are made of."""
