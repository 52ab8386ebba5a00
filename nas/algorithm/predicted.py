"""The cheap problem that surrogate-assisted algorithms give to an optimizer in place of the expensive one."""

from collections.abc import Mapping, Sequence
from typing import final

import numpy as np

from nas.errors import UserError
from nas.objective.base import Cost, Objective
from nas.optimizer.base import Problem
from nas.space.base import SearchSpace, new_rows
from nas.surrogate.base import Surrogate
from nas.types import Floats, Genomes


@final
class Predicted:
    """Objectives of genomes without evaluation: the surrogate predicts measured objectives, costs are exact.

    Example:
        >>> from nas.algorithm.predicted import Predicted
        >>> from nas.objective.known import KnownCost
        >>> from nas.space.integer import IntegerSpace
        >>> from nas.surrogate.rbf import RBF
        >>> size = KnownCost("size", lambda genomes: genomes.sum(axis=1))
        >>> predicted = Predicted(IntegerSpace([0], [9]), [size], RBF())
        >>> predicted.fit(np.array([[0], [4], [9]]), np.array([[20.0, 0.0], [16.0, 4.0], [11.0, 9.0]]))
        >>> predicted(np.array([[5]])).round(2)
        array([[15., 5.]])
    """

    def __init__(self, space: SearchSpace, objectives: Sequence[Objective], surrogate: Surrogate) -> None:
        """Set the parts.

        Args:
            space: Search space.
            objectives: Objectives besides the top-1 error.
            surrogate: Surrogate of the top-1 error and of the objectives without exact values.
        """
        self._space = space
        self._objectives = objectives
        self._surrogate = surrogate
        self._modelled = [0, *(i for i, objective in enumerate(objectives, 1) if not isinstance(objective, Cost))]

    def check_budget(self, key: str, value: int) -> None:
        """Check that a budget gives the surrogate enough evaluations to fit to.

        Args:
            key: Name of the setting in the error message, for example ``"algorithm.n_doe"``.
            value: Number of evaluations that the setting allows.

        Raises:
            UserError: If the surrogate needs more evaluations.
        """
        needed = self._surrogate.minimum_points(self._space.n_genes)
        if value < needed:
            raise UserError(
                f"{key}={value} is too small: surrogate={self._surrogate.name} needs at least {needed} "
                f"evaluated architectures in a space of {self._space.n_genes} genes; use {key}={needed} or more"
            )

    def fit(self, genomes: Genomes, evaluated: Floats, metrics: Sequence[Mapping[str, float]] = ()) -> None:
        """Fit the surrogate.

        Args:
            genomes: Canonical genomes of the evaluated architectures, shape (n, d).
            evaluated: Objectives of the architectures, shape (n, m), the error first.
            metrics: Metrics of the evaluations, length n; empty if the surrogate needs no further metrics.
        """
        others = [[found[name] for name in self._surrogate.metrics] for found in metrics]
        values = np.array(others, dtype=np.float64).reshape(len(genomes), -1)
        self._surrogate.fit(genomes, np.concatenate([evaluated[:, self._modelled], values], axis=1))

    def __call__(self, genomes: Genomes) -> Floats:
        """Return the objectives of genomes, (n, d) -> (n, m), the error first."""
        values = np.empty((len(genomes), 1 + len(self._objectives)))
        values[:, self._modelled] = self._surrogate.predict(genomes)[:, : len(self._modelled)]
        for i, objective in enumerate(self._objectives, 1):
            if isinstance(objective, Cost):
                values[:, i] = objective(genomes)
        return values

    def errors(self, genomes: Genomes) -> Floats:
        """Return the predicted errors of genomes, (n, d) -> (n,)."""
        errors: Floats = self._surrogate.predict(genomes)[:, 0]
        return errors

    def parts(self, genomes: Genomes) -> dict[str, Floats]:
        """Return predictions besides the error for genomes, (n, d): shape (n,) each, by the name of the metric."""
        names = [self._objectives[i - 1].measure.name for i in self._modelled[1:]] + [*self._surrogate.metrics]
        return dict(zip(names, self._surrogate.predict(genomes).T[1:], strict=True)) if names else {}

    def problem(self) -> Problem:
        """Return the problem for the optimizer; its objectives are those of :meth:`__call__`."""
        return Problem(
            space=self._space,
            evaluate=self,
            n_objectives=1 + len(self._objectives),
            violation=lambda genomes, _: self._space.violation(genomes),
            deviation=self._deviation,
        )

    def _deviation(self, genomes: Genomes) -> Floats | None:
        deviation = self._surrogate.deviation(genomes)
        return None if deviation is None else deviation[:, 0]


def initial_design(space: SearchSpace, n: int, rng: np.random.Generator) -> Genomes:
    """Return the smallest and the largest architecture and ``n - 2`` random others, shape (n, d).

    NSGANetV2, Alg. 1, lines 1-7. All algorithms start with the same design if their random generators are equal. The
    smallest or the largest architecture is left out if it breaks a hard constraint. Fewer than ``n`` genomes are
    returned only if the space has no more.

    Args:
        space: Search space.
        n: Number of architectures.
        rng: Random generator, the only source of randomness.

    Example:
        >>> from nas.space.integer import IntegerSpace
        >>> initial_design(IntegerSpace([0, 0], [9, 9]), 5, np.random.default_rng(0))[:2]
        array([[0, 0], [9, 9]])
    """
    ends = np.stack([space.smallest, space.largest])[:n]
    ends = new_rows(
        ends[space.violation(ends) == 0], ends[:0]
    )  # both ends are equal in a space with a single architecture
    return np.concatenate([ends, space.sample_unseen(n - len(ends), ends, rng)])
