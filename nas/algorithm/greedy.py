"""GreedyCascade (Streeter 2018, *Approximation Algorithms for Cascading Prediction Models*, ICML), Algorithm 1."""

from collections.abc import Sequence
from typing import final

import numba
import numpy as np
import numpy.typing as npt

from nas.algorithm.base import Algorithm
from nas.errors import RunError, UserError
from nas.objective.base import Objective
from nas.pool.base import Pool
from nas.run.archive import Archive
from nas.space.base import SearchSpace, new_rows
from nas.types import Batch, Floats, PositiveFloat

Bools = npt.NDArray[np.bool_]
Gaps = npt.NDArray[np.float32]
Order = npt.NDArray[np.int64]


@final
class GreedyCascade(Algorithm):
    """Greedy construction of cascades: one for each pair of a reference network and an accuracy multiplier.

    A cascade grows by the network that answers most of the remaining images per cost. A network answers an image if
    its confidence gap exceeds a threshold. The threshold is the smallest one at which the network's accuracy on the
    answered images is at least the reference's accuracy on them times the multiplier. One pass over the images in the
    order of their gaps finds it.

    Example:
        >>> from nas.algorithm.greedy import GreedyCascade
        >>> from nas.cascade.source import GapCascades
        >>> from nas.objective.known import ToldCost
        >>> from nas.pool.none import Specimen
        >>> pool = Specimen()
        >>> algorithm = GreedyCascade(space=GapCascades(pool=pool).space, pool=pool, objectives=[ToldCost("flops")])
        >>> algorithm.evaluations == 6 * len(pool.names)
        True
    """

    steps = 1

    def __init__(
        self,
        *,
        space: SearchSpace,
        pool: Pool,
        objectives: Sequence[Objective],
        multipliers: tuple[PositiveFloat, ...] = (1.0, 0.99, 0.98, 0.97, 0.96, 0.95),
    ) -> None:
        """Set the networks and the multipliers.

        Args:
            space: Search space of cascades with confidence gaps as thresholds.
            pool: Pool with stored outputs of the networks.
            objectives: Objectives besides the error; the first one is the cost of a network, which must be above 0.
            multipliers: Factors of the reference network's accuracy that the cascades keep (published: 1.00 to 0.95).

        Raises:
            UserError: If the space is no space of gap cascades, the pool does not know the cost, or a cost is not above
                0.
        """
        try:
            space.encode({"networks": list(pool.names[:1]), "gaps": []})
        except (UserError, KeyError) as error:
            raise UserError("algorithm=greedy builds cascades that stop on gaps: choose space=gap_cascade") from error
        cost = objectives[0].measure.name
        if cost not in pool.costs:
            raise UserError(f"algorithm=greedy needs what each network costs; the pool does not know {cost}")
        self._space = space
        self._pool = pool
        if pool.costs[cost].min() <= 0:
            free = pool.names[int(pool.costs[cost].argmin())]
            raise UserError(f"algorithm=greedy divides by costs: {free} costs {pool.costs[cost].min():g} {cost}")
        self._costs = pool.costs[cost]
        self._multipliers = multipliers
        self.evaluations = len(pool.names) * len(multipliers)

    def propose(self, archive: Archive, step: int, rng: np.random.Generator) -> Batch:
        """Return the cascades of all references and multipliers that satisfy the constraints, without duplicates.

        Raises:
            RunError: If no cascade satisfies the constraints. The construction does not take them into account.
        """
        stored = self._pool.outputs("validation")
        genomes = []
        for networks, gaps in cascades(stored.right(), stored.gaps, self._costs, self._multipliers):
            names = [self._pool.names[network] for network in networks]
            genomes.append(self._space.encode({"networks": names, "gaps": gaps[:-1]}))
        built = new_rows(np.array(genomes), np.zeros((0, self._space.n_genes), dtype=np.int64))
        allowed = built[self._space.violation(built) == 0]
        if len(allowed) == 0:
            raise RunError(f"none of GreedyCascade's {len(built)} cascades keeps the constraints: choose wider ones")
        return Batch(allowed)


def cascades(
    right: Bools, gaps: Gaps, costs: Floats, multipliers: Sequence[float]
) -> list[tuple[list[int], list[float]]]:
    """Return the networks of each cascade and their thresholds; the threshold -1 answers all remaining images.

    Args:
        right: Mask of the images that each network classifies correctly, shape (k, n).
        gaps: Confidence gaps, the largest minus the second largest logit, shape (k, n).
        costs: Cost of each network, shape (k,).
        multipliers: Factors of the reference network's accuracy.

    Returns:
        One pair of networks and thresholds for each reference and, within a reference, for each multiplier.
    """
    order = np.argsort(gaps, axis=1, kind="stable")
    ordered = np.ascontiguousarray(np.take_along_axis(gaps, order, axis=1), dtype=np.float32)
    found = []
    for reference in range(len(right)):
        for multiplier in multipliers:
            arrays = right, order, ordered, costs.astype(np.float32), reference, np.float32(multiplier)
            networks, thresholds, used = _build(*arrays)
            found.append((networks[:used].tolist(), thresholds[:used].tolist()))
    return found


@numba.njit(cache=True)
def _build(  # noqa: PLR0917 -- compiled: plain arguments
    right: Bools, order: Order, ordered: Gaps, costs: Gaps, reference: int, multiplier: np.float32
) -> tuple[Order, Gaps, int]:
    """Return the networks of one cascade, their thresholds, and the number of used entries; see :func:`cascades`.

    If no network is accurate enough on the remaining images, the last network of the cascade answers them. The
    published code fails in this case.
    """
    k, n = right.shape
    left, free = np.ones(n, dtype=np.bool_), np.ones(k, dtype=np.bool_)
    networks, thresholds = np.zeros(k, dtype=np.int64), np.zeros(k, dtype=np.float32)
    used, remaining = 0, n
    while remaining > 0:
        best, best_ratio, best_count, best_gap = -1, np.float32(0), 0, np.float32(-1)
        for network in range(k):
            if free[network]:  # Alg. 1, l. 4: the confident images among the remaining ones
                count, gap = _confident(right, order, ordered, left, network, reference, multiplier)
                ratio = np.float32(count) / costs[network]
                if ratio > best_ratio:  # Alg. 1, l. 5
                    best, best_ratio, best_count, best_gap = network, ratio, count, gap
        if best < 0:
            break
        networks[used], thresholds[used] = best, best_gap
        used += 1
        free[best] = False
        for place in range(n):
            if ordered[best, place] > best_gap:
                left[order[best, place]] = False
        remaining -= best_count
    if used == 0:
        networks[0], used = reference, 1
    thresholds[used - 1] = np.float32(-1)
    return networks, thresholds, used


@numba.njit(cache=True)
def _confident(  # noqa: PLR0917 -- compiled: plain arguments
    right: Bools, order: Order, ordered: Gaps, left: Bools, network: int, reference: int, multiplier: np.float32
) -> tuple[int, np.float32]:
    """Return the number of remaining images that the network may answer, and its threshold, -1 for all of them."""
    n = right.shape[1]
    count, mine, theirs = 0, 0, 0
    for image in range(n):
        if left[image]:
            count += 1
            mine += right[network, image]
            theirs += right[reference, image]
    gap = np.float32(-1)
    place = 0
    while count > 0:
        if mine > 0 and _share(mine, count) >= multiplier * _share(theirs, count):
            return count, gap
        gap = ordered[network, place]
        while place < n and ordered[network, place] == gap:
            image = order[network, place]
            if left[image]:
                count -= 1
                mine -= right[network, image]
                theirs -= right[reference, image]
            place += 1
    return 0, gap


@numba.njit(cache=True)
def _share(part: int, whole: int) -> np.float32:
    """Return the share in percent, rounded to float32 as in the published code."""
    return np.float32(np.float32(part) / np.float32(whole)) * np.float32(100)
