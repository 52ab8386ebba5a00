"""Random generators by seed, step and purpose.

There is no global state, so that a resumed run gets the same random numbers as an uninterrupted one.
"""

from zlib import crc32

import numpy as np


def rng_for(seed: int, step: int, purpose: str) -> np.random.Generator:
    """Return the random generator for one purpose in one step of a run.

    Args:
        seed: Seed of the run, 0 to 2**63 - 1.
        step: Step of the search, 0 for the initial design, or an epoch.
        purpose: Purpose of the numbers, for example ``"propose"``; different purposes get independent streams.

    Example:
        >>> first, second = (rng_for(seed=1, step=2, purpose="propose").integers(1000, size=3) for _ in range(2))
        >>> np.array_equal(first, second)
        True
    """
    return np.random.default_rng([seed, step, crc32(purpose.encode())])


def short_seed(seed: int, purpose: str) -> int:
    """Return a seed of 32 bits, for libraries that accept no larger ones; seeds below 2**32 stay as they are.

    Args:
        seed: Seed of the run, 0 to 2**63 - 1.
        purpose: Purpose of the numbers, as in :func:`rng_for`.

    Example:
        >>> short_seed(7, "split"), short_seed(2**40, "split") < 2**32
        (7, True)
    """
    return seed if seed < 2**32 else int(rng_for(seed, 0, purpose).integers(2**32))
