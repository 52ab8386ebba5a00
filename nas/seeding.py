"""Random generators by name: no global state, and the same numbers however often a run was interrupted."""

from zlib import crc32

import numpy as np


def rng_for(seed: int, step: int, purpose: str) -> np.random.Generator:
    """Return the generator that ``purpose`` uses in ``step`` of the run with this ``seed``.

    Args:
        seed: The run's seed, 0 to 2**63 - 1.
        step: The step of the search (0 is the initial design), or an epoch.
        purpose: Purpose of the numbers, for example ``"propose"``; different purposes get independent streams.
    """
    return np.random.default_rng([seed, step, crc32(purpose.encode())])


def short_seed(seed: int, purpose: str) -> int:
    """Return a seed of 32 bits, for libraries that take no larger one: the seed itself where it is that small.

    Args:
        seed: The run's seed, 0 to 2**63 - 1.
        purpose: Purpose of the numbers, as in :func:`rng_for`.
    """
    return seed if seed < 2**32 else int(rng_for(seed, 0, purpose).integers(2**32))
