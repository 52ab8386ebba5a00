"""Training of supernets."""
