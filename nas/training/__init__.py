"""Training of supernets, before and during a search."""
