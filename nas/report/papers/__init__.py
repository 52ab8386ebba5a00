"""Hypotheses and figures of the papers, and published networks of other methods."""
