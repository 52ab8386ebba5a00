"""The papers' hypotheses, figures and published networks."""
