"""MSuNAS, the search algorithm of NSGANetV2 (Lu et al. 2020, arXiv 2007.10396, Algorithm 1)."""

from collections.abc import Sequence
from typing import final

import numpy as np

from nas.algorithm.base import Algorithm, timed
from nas.algorithm.predicted import Predicted, initial_design
from nas.errors import UserError
from nas.objective.base import Objective
from nas.optimizer.base import Optimizer
from nas.pareto import non_dominated
from nas.run.archive import Archive
from nas.selector.base import Selector
from nas.space.base import SearchSpace, new_rows
from nas.surrogate.base import Surrogate
from nas.types import Batch, Count, NonNegativeInt


@final
class MSuNAS(Algorithm):
    """Surrogate-assisted search of NSGANetV2.

    Each iteration fits the surrogate to all evaluations, searches for candidates with the optimizer, and evaluates the
    candidates that the selector chooses. The surrogate predicts the error and the objectives without exact values.
    Known costs are computed exactly.

    Example:
        >>> from nas.algorithm.msunas import MSuNAS
        >>> from nas.objective.known import KnownCost
        >>> from nas.optimizer.nsga2 import NSGA2
        >>> from nas.selector.subset import Subset
        >>> from nas.space.integer import IntegerSpace
        >>> from nas.surrogate.rbf import RBF
        >>> size = KnownCost("size", lambda genomes: genomes.sum(axis=1))
        >>> parts = {"surrogate": RBF(), "optimizer": NSGA2(), "selector": Subset()}
        >>> algorithm = MSuNAS(space=IntegerSpace([0, 0], [9, 9]), objectives=[size], **parts)
        >>> algorithm.steps, algorithm.evaluations
        (31, 340)
    """

    def __init__(
        self,
        *,
        space: SearchSpace,
        objectives: Sequence[Objective],
        surrogate: Surrogate,
        optimizer: Optimizer,
        selector: Selector,
        n_doe: Count = 100,
        n_iter: Count = 8,
        iterations: NonNegativeInt = 30,
    ) -> None:
        """Set the parts and the budget.

        Args:
            space: Search space.
            objectives: Objectives besides the top-1 error.
            surrogate: Surrogate of the top-1 error and of the objectives without exact values.
            optimizer: Optimizer that searches for candidates; it minimizes predicted errors and exact costs.
            selector: Selector of the candidates to evaluate.
            n_doe: Number of architectures in the initial design (published: 100).
            n_iter: Number of architectures evaluated in each iteration (published: 8).
            iterations: Number of iterations after the initial design (published: 30).

        Raises:
            UserError: If the surrogate needs a larger initial design, or metrics besides the objectives.
        """
        if surrogate.metrics:
            raise UserError(
                f"surrogate={surrogate.name} needs the errors of each network: choose algorithm=encas_joint or another "
                "surrogate"
            )
        self._predicted = Predicted(space, objectives, surrogate)
        if iterations > 0:
            self._predicted.check_budget("algorithm.n_doe", n_doe)
        self._space = space
        self._surrogate = surrogate
        self._optimizer = optimizer
        self._selector = selector
        self._n_doe = n_doe
        self._n_iter = n_iter
        self.steps = iterations + 1
        self.evaluations = n_doe + iterations * n_iter

    def propose(self, archive: Archive, step: int, rng: np.random.Generator) -> Batch:
        """Return the initial design in step 0, and the ``n_iter`` chosen candidates in later steps.

        If the optimizer finds fewer new candidates than ``n_iter``, random architectures are added.
        """
        if step == 0:
            return Batch(initial_design(self._space, self._n_doe, rng))  # Alg. 1, l. 1-7
        seen = archive.genomes()
        genomes, evaluated = archive.arrays()
        if len(genomes) < self._surrogate.minimum_points(self._space.n_genes):  # too many evaluations failed
            return Batch(self._space.sample_unseen(self._n_iter, seen, rng))
        seconds: dict[str, float] = {}
        with timed(seconds, "fit"):
            self._predicted.fit(genomes, evaluated)  # l. 9
            fitted = self._predicted.errors(genomes)
        front = non_dominated(evaluated)
        with timed(seconds, "search"):
            population, _ = self._optimizer.minimize(self._predicted.problem(), genomes[front], rng)  # l. 10
        with timed(seconds, "select"):
            candidates = new_rows(population, seen)
            asked = self._selector.uses_covariance and len(candidates) > 0
            covariance = self._surrogate.covariance(candidates) if asked else None
            values = self._predicted(candidates)
            chosen = self._selector.select(values, evaluated[front], self._n_iter, rng, covariance)  # l. 11
            batch = candidates[chosen]
            filling = self._space.sample_unseen(self._n_iter - len(batch), np.concatenate([seen, batch]), rng)
            batch = np.concatenate([batch, filling])
            predicted = self._predicted.errors(batch)
        names = self._surrogate.name, self._surrogate.winner
        return Batch(batch, predicted, *names, fitted, evaluated[:, 0], seconds=seconds)
