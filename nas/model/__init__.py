"""Models after a search: measured, trained further, exported and loaded."""
