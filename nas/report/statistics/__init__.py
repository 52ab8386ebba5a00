"""Statistics of groups of runs."""
