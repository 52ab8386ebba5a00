"""How far two measurements of one accuracy may be apart."""

from nas.evaluator.accuracy import margin


def rounding(n_images: int) -> float:
    """Return the margin for rounding in percent."""
    return 100 * margin(n_images) / n_images + 1e-9
