"""ENCAS, the search for cascades of Chebykin, Alderliesten, Bosman (2022, arXiv 2203.04011), section 3."""

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
    """Lets the optimizer search on evaluations themselves, which cost next to nothing on stored outputs.

    The one step of a run is the whole search: its front is what is archived. The budget is the optimizer's, whole
    populations are evaluated at once, and a run that was killed searches again, with the same result. It serves every
    evaluator of whole arrays, cascades or not.
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
            objectives: Objectives besides the error; costs that are known for all genomes.
            optimizer: Searches; its budget is the run's.
            evaluator: Evaluator of whole arrays.

        Raises:
            UserError: If evaluations are not cheap: networks have to run, or an objective has to be measured.
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
        self.evaluations = 1  # in the archive there are as many as the front has members

    def propose(self, archive: Archive, step: int, rng: np.random.Generator) -> Batch:
        """Return the front of the whole search, one genome for each point, ascending in the error."""
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
