"""Models: what can be measured, trained further, exported and loaded after a search."""
