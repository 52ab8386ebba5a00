"""Data of a report: reading, grouping and comparison of runs."""
