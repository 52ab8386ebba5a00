"""ENCAS, the cascade search of Chebykin, Alderliesten, Bosman (2022, arXiv 2203.04011), section 3."""

from collections.abc import Sequence
from typing import final

import numpy as np

from nas.algorithm.base import Algorithm
from nas.errors import UserError
from nas.evaluator.base import ArrayEvaluator, Evaluator
from nas.objective.base import Cost, Objective
from nas.optimizer.base import Optimizer, Problem
from nas.run.archive import Archive
from nas.space.base import SearchSpace, new_rows
from nas.types import Batch, Floats, Genomes


@final
class ENCAS(Algorithm):
    """Direct search without a surrogate, for evaluations that are cheap, for example from stored outputs.

    The optimizer evaluates whole populations at once, and its budget is the budget of the search. A run has a single
    step, which contains the whole search. The archive holds the resulting front only. A killed run repeats the search
    when it is resumed, with the same result. The algorithm works with every evaluator of whole arrays, also for other
    spaces than cascades.

    Example:
        >>> from nas.algorithm.encas import ENCAS
        >>> from nas.objective.known import KnownCost
        >>> from nas.optimizer.mo_gomea import MOGOMEA
        >>> from nas.space.integer import IntegerSpace
        >>> class Cheap(ArrayEvaluator):
        ...     def measure(self, genomes, split):
        ...         return [{"top1": 90.0 + genome.sum()} for genome in genomes]
        >>> size = KnownCost("size", lambda genomes: genomes.sum(axis=1))
        >>> parts = {"optimizer": MOGOMEA(evaluations=16), "evaluator": Cheap()}
        >>> algorithm = ENCAS(space=IntegerSpace([0, 0], [3, 3]), objectives=[size], **parts)
        >>> algorithm.propose(None, 0, np.random.default_rng(0)).genomes.sum(axis=1)
        array([6, 5, 4, 3, 2, 1, 0])
    """

    steps = 1

    def __init__(
        self,
        *,
        space: SearchSpace,
        objectives: Sequence[Objective],
        optimizer: Optimizer,
        evaluator: Evaluator | ArrayEvaluator,
    ) -> None:
        """Set the parts.

        Args:
            space: Search space.
            objectives: Objectives besides the top-1 error; each must be a cost that is known for all genomes.
            optimizer: Optimizer that runs the search; its budget is the budget of the run.
            evaluator: Evaluator of whole arrays, which needs no network.

        Raises:
            UserError: If evaluations are not cheap: the evaluator runs networks, or an objective has to be measured.
        """
        if not isinstance(evaluator, ArrayEvaluator):
            raise UserError(
                "algorithm=encas needs an evaluator that knows all results: choose space=cascade with a pool, "
                "for example pool=runs, or algorithm=msunas"
            )
        costs = [objective for objective in objectives if isinstance(objective, Cost)]
        for objective in objectives:
            if objective not in costs:
                raise UserError(f"algorithm=encas needs exact costs; {objective.measure.name} is measured")
        self._space = space
        self._costs = costs
        self._optimizer = optimizer
        self._evaluator = evaluator
        self.evaluations = 1  # a lower bound: the archive gets one evaluation for each member of the front

    def propose(self, archive: Archive, step: int, rng: np.random.Generator) -> Batch:
        """Return the front of the whole search, one genome for each point, in ascending order of the error."""
        problem = Problem(
            space=self._space,
            evaluate=self._evaluate,
            n_objectives=1 + len(self._costs),
            violation=lambda genomes, _: self._space.violation(genomes),
        )
        ends = np.stack([self._space.smallest, self._space.largest])
        allowed = new_rows(ends[self._space.violation(ends) == 0], ends[:0])
        initial = allowed if len(allowed) else self._space.sample(1, rng)
        genomes, objectives = self._optimizer.minimize(problem, initial, rng)
        _, different = np.unique(objectives, axis=0, return_index=True)  # ascending in the first objective
        return Batch(genomes[different])

    def _evaluate(self, genomes: Genomes) -> Floats:
        return np.column_stack([self._evaluator.errors(genomes), *(cost(genomes) for cost in self._costs)])
