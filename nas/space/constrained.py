"""Search space with hard bounds on exact costs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import numpy.typing as npt

from nas.errors import UserError
from nas.space.base import SearchSpace
from nas.types import Architecture, Floats, Genomes

ROUNDS = 20
"""Number of rounds of rejection sampling, after which missing genomes are repaired."""

_CLIMBS, _STEPS, _VARIANTS, _PATIENCE = 64, 100, 30, 15
"""Local search for rare architectures: starts, maximum number of steps, variants of a genome in each step, and steps
without progress after which it ends."""


@dataclass(frozen=True)
class Bound:
    """Limits of one cost.

    Attributes:
        name: Name of the cost, for example ``"flops"``.
        cost: Function that maps canonical genomes, (n, d), to their cost, (n,).
        least, most: Inclusive limits in the unit of the cost; ``None`` for no limit.

    Example:
        >>> bound = Bound("flops", lambda genomes: genomes[:, 0] * 10.0, least=None, most=40.0)
        >>> bound.excess(np.array([[3], [5]]))
        array([0.  , 0.25])
    """

    name: str
    cost: Callable[[Genomes], Floats]
    least: float | None
    most: float | None

    def excess(self, genomes: Genomes) -> Floats:
        """Return how far genomes are outside of the limits, (n, d) -> (n,), as a fraction of the limit."""
        values = self.cost(genomes)
        total = np.zeros(len(genomes))
        if self.most is not None:
            total += np.maximum(values - self.most, 0) / max(self.most, np.finfo(float).tiny)
        if self.least is not None:
            total += np.maximum(self.least - values, 0) / max(self.least, np.finfo(float).tiny)
        return total


@final
class Constrained(SearchSpace):
    """Search space of the genomes of another space whose costs are within bounds.

    Sampling has three steps. Rejection sampling is uniform over the allowed genomes and is enough if a few percent of
    the genomes are allowed. Otherwise, genes of rejected draws are replaced in random order by those of an allowed
    genome until the bounds are satisfied. If allowed genomes are rare, as in a narrow band of costs, a local search
    first moves rejected draws towards the bounds.

    Example:
        >>> from nas.space.choices import ChoiceSpace
        >>> space = ChoiceSpace({"depth": (1, 2, 3, 4), "width": (8, 16)})
        >>> depth = Bound("depth", lambda genomes: genomes[:, 0] + 1.0, least=2, most=3)
        >>> Constrained(space, [depth]).size()
        4
    """

    def __init__(self, space: SearchSpace, bounds: Sequence[Bound]) -> None:
        """Wrap a space.

        Args:
            space: Search space.
            bounds: Limits of the costs.

        Raises:
            UserError: If no architecture within the bounds is found; the message names the range of the costs.
        """
        self._space = space
        self._bounds = tuple(bounds)
        self.lower, self.upper, self.names = space.lower, space.upper, space.names
        self._rare = False
        self._anchor = self._find_anchor()

    def text(self, gene: int, value: int) -> str:
        """Return the choice that a gene's value encodes in the wrapped space."""
        return self._space.text(gene, value)

    def canonical(self, genomes: Genomes) -> Genomes:
        """Return the canonical genomes of the wrapped space, shape (n, d)."""
        return self._space.canonical(genomes)

    def expressed(self, genomes: Genomes) -> npt.NDArray[np.bool_]:
        """Return whether each gene of canonical genomes is expressed in the wrapped space, (n, d) -> (n, d)."""
        return self._space.expressed(genomes)

    def decode(self, genome: Genomes) -> Architecture:
        """Return the architecture of one genome, shape (d,)."""
        return self._space.decode(genome)

    def encode(self, config: Mapping[str, Any]) -> Genomes:
        """Return the canonical genome, shape (d,), of a configuration, also if its costs are outside of the bounds."""
        return self._space.encode(config)

    def violation(self, genomes: Genomes) -> Floats:
        """Return the sum of all excesses over the bounds, (n, d) -> (n,), each as a fraction of its limit."""
        total: Floats = np.sum([bound.excess(genomes) for bound in self._bounds], axis=0)
        return total

    def size(self) -> int | None:
        """Return the number of architectures within the bounds; ``None`` if the space is too large to list."""
        everything = self.unseen(self._anchor[None][:0])
        return None if everything is None else len(everything)

    def sample(self, n: int, rng: np.random.Generator) -> Genomes:
        """Draw ``n`` canonical genomes within the bounds, shape (n, d)."""
        found = np.zeros((0, self.n_genes), dtype=np.int64)
        rejected = found
        for _ in range(ROUNDS):
            if len(found) >= n:
                break
            drawn = self._space.sample(max(n, 1), rng)
            allowed = self.violation(drawn) == 0
            found, rejected = np.concatenate([found, drawn[allowed]]), drawn[~allowed]
        missing = n - len(found)
        if missing > 0:
            rejected = self._climbed(rejected[:missing], rng) if self._rare else rejected[:missing]
            found = np.concatenate([found, self._repaired(rejected, self._anchor, rng)])
        return found[:n]

    def _repaired(self, genomes: Genomes, anchor: Genomes, rng: np.random.Generator) -> Genomes:
        """Replace genes of genomes, (n, d), by those of ``anchor``, (d,), until the bounds are satisfied."""
        order = rng.permuted(np.tile(np.arange(self.n_genes), (len(genomes), 1)), axis=1)
        result, broken = genomes.copy(), np.ones(len(genomes), dtype=bool)
        for replaced in range(self.n_genes + 1):
            mixed = self.canonical(np.where(order[broken] < replaced, anchor, genomes[broken]))
            result[broken] = mixed
            broken[broken] = self.violation(mixed) > 0
            if not broken.any():
                break
        return result

    def _climbed(self, genomes: Genomes, rng: np.random.Generator) -> Genomes:
        """Move genomes, (n, d), towards the bounds by local search.

        Each step draws variants of a genome with one to three changed genes and keeps the best one if it is nearer to
        the bounds. Genomes within the bounds stay unchanged.
        """
        result, excess, stuck = genomes.copy(), self.violation(genomes), 0
        for _ in range(_STEPS):
            broken = np.flatnonzero(excess)
            if len(broken) == 0 or stuck == _PATIENCE:
                break
            variants = np.repeat(result[broken], _VARIANTS, axis=0)
            rows = np.arange(len(variants))
            for changes in range(3):  # one, two or three changes for a third of the variants each
                chosen = rows[rows % 3 >= changes]
                genes = rng.integers(self.n_genes, size=len(chosen))
                drawn = rng.integers(self.lower[genes], self.upper[genes], endpoint=True)
                variants[chosen, genes] = drawn
            variants = self.canonical(variants)
            worse = self.violation(variants).reshape(len(broken), _VARIANTS)
            best = worse.argmin(axis=1)
            better = worse.min(axis=1) < excess[broken]
            result[broken[better]] = variants.reshape(len(broken), _VARIANTS, -1)[better, best[better]]
            excess[broken[better]] = worse.min(axis=1)[better]
            stuck = 0 if better.any() else stuck + 1
        return result

    def _find_anchor(self) -> Genomes:
        """Return a genome within the bounds, shape (d,): the smallest, the largest, or one that sampling finds."""
        ends = np.stack([self._space.smallest, self._space.largest])
        rng = np.random.default_rng(0)
        small, large = np.tile(ends[0], (200, 1)), ends[1]
        sampled = self._space.sample(1000, rng)
        attempts: list[Callable[[], Genomes]] = [
            lambda: ends,
            lambda: sampled,
            lambda: self._repaired(small, large, rng),
            lambda: self._climbed(np.concatenate([ends, sampled[:_CLIMBS]]), rng),
            lambda: ends[:0] if (everything := self.unseen(ends[:0])) is None else everything,
        ]
        for number, attempt in enumerate(attempts):
            tried = attempt()
            allowed = np.flatnonzero(self.violation(tried) == 0)
            if len(allowed):
                self._rare = number > 2
                anchor: Genomes = tried[allowed[0]]
                return anchor
        ranges = "; ".join(
            f"{bound.name} is {low:.4g} for the smallest and {high:.4g} for the largest architecture"
            for bound in self._bounds
            for low, high in [bound.cost(ends)]
        )
        wanted = " ".join(
            f"constraints.{bound.name}.{key}={limit:g}"
            for bound in self._bounds
            for key, limit in (("min", bound.least), ("max", bound.most))
            if limit is not None
        )
        raise UserError(f"no architecture found within {wanted}: {ranges}")
