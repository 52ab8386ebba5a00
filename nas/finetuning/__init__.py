"""Fine-tuning of a single network from its current weights."""
