"""Training of one network from the weights that it has."""
