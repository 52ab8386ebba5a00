"""Neural Architecture Transfer (Lu et al. 2021, arXiv 2005.05859, Algorithm 1), as reproduced by ENCAS's authors."""

from collections.abc import Sequence

import numpy as np

from nas.algorithm.base import Algorithm, timed
from nas.algorithm.predicted import Predicted, initial_design
from nas.objective.base import Objective
from nas.optimizer.base import Optimizer
from nas.pareto import non_dominated
from nas.run.archive import Archive, Entry
from nas.selector.base import Selector
from nas.space.base import SearchSpace, new_rows
from nas.surrogate.base import Surrogate
from nas.types import Batch, Count, Floats, Genomes, NonNegativeInt, PositiveInt


class NAT(Algorithm):
    """Surrogate-assisted search whose proposals also train the supernet.

    Each step runs in a fixed order. NAT proposes candidates, the training adapts the supernet's weights to them, and
    the candidates are evaluated with the new weights. The candidates are the best of the previous step's architectures
    and the optimizer's new ones. With frozen weights the algorithm proposes new architectures only, and no architecture
    is evaluated twice.

    Example:
        >>> from nas.algorithm.nat import NAT
        >>> from nas.objective.known import KnownCost
        >>> from nas.optimizer.nsga3 import NSGA3
        >>> from nas.selector.reference import Reference
        >>> from nas.space.integer import IntegerSpace
        >>> from nas.surrogate.rbf import RBF
        >>> size = KnownCost("size", lambda genomes: genomes.sum(axis=1))
        >>> parts = {"surrogate": RBF(), "optimizer": NSGA3(), "selector": Reference()}
        >>> algorithm = NAT(space=IntegerSpace([0, 0], [9, 9]), objectives=[size], **parts, n_doe=20, n_iter=10)
        >>> algorithm.steps, algorithm.evaluations, algorithm.reevaluates
        (31, 320, True)
    """

    def __init__(
        self,
        *,
        space: SearchSpace,
        objectives: Sequence[Objective],
        surrogate: Surrogate,
        optimizer: Optimizer,
        selector: Selector,
        n_doe: Count = 300,
        n_iter: Count = 300,
        iterations: NonNegativeInt = 30,
        reevaluate: bool = True,
        fit_on: PositiveInt | None = None,
    ) -> None:
        """Set the parts and the budget.

        Args:
            space: Search space.
            objectives: Objectives besides the top-1 error.
            surrogate: Surrogate of the top-1 error and of the objectives without exact values.
            optimizer: Optimizer that searches for candidates. It minimizes predicted errors and exact costs, and starts
                from evaluated architectures.
            selector: Selector of the architectures to evaluate, and of the evaluations to fit to if ``fit_on`` is
                given.
            n_doe: Number of architectures, or cascades, in the initial design (published: 300; in ENCAS's reproduction
                of NAT: 100).
            n_iter: Number of architectures, or cascades, evaluated in each iteration (published: 300).
            iterations: Number of iterations after the initial design (published: 30).
            reevaluate: Whether architectures of the previous step may be chosen and evaluated again. This needs a
                training that changes the weights.
            fit_on: Number of evaluations, chosen by the selector, that the surrogate is fitted to (published: all; in
                ENCAS's reproduction of NAT: 100); ``None`` for all.

        Raises:
            UserError: If the surrogate needs more evaluations than ``n_doe``, ``n_iter`` or ``fit_on``.
        """
        self._check_parts(objectives, surrogate)
        self._predicted = Predicted(space, objectives, surrogate)
        budgets = {"n_doe": n_doe, "n_iter": n_iter if reevaluate else None, "fit_on": fit_on}
        for name, value in budgets.items():
            if iterations > 0 and value is not None:
                self._predicted.check_budget(f"algorithm.{name}", value)
        self._space = space
        self._surrogate = surrogate
        self._optimizer = optimizer
        self._selector = selector
        self._n_doe = n_doe
        self._n_iter = n_iter
        self._fit_on = fit_on
        self.reevaluates = reevaluate
        self.steps = iterations + 1
        self.evaluations = n_doe + iterations * n_iter

    def _check_parts(self, objectives: Sequence[Objective], surrogate: Surrogate) -> None:
        """Raise UserError if the method cannot use the parts."""

    def propose(self, archive: Archive, step: int, rng: np.random.Generator) -> Batch:
        """Return the initial design in step 0, and the ``n_iter`` chosen architectures in later steps.

        If fewer architectures are available, random ones are added with frozen weights. Without frozen weights the
        batch may then be smaller, which can happen in the first steps.
        """
        if step == 0:
            return Batch(initial_design(self._space, self._n_doe, rng))
        known = self._population(archive, step)
        genomes, evaluated = self._arrays(known, len(archive.measures))
        seen = genomes if self.reevaluates else archive.genomes()
        if len(genomes) < self._surrogate.minimum_points(self._space.n_genes):  # too many evaluations failed
            return Batch(self._filled(genomes if self.reevaluates else genomes[:0], seen, rng))
        seconds: dict[str, float] = {}
        with timed(seconds, "fit"):
            chosen = self._selected(evaluated, evaluated, self._fit_on or len(genomes), rng)
            self._predicted.fit(genomes[chosen], evaluated[chosen], [known[i].metrics for i in chosen])
            fitted = self._predicted.errors(genomes)
        with timed(seconds, "search"):
            population, _ = self._optimizer.minimize(self._predicted.problem(), genomes, rng)
        with timed(seconds, "select"):
            candidates = new_rows(population, seen)
            values = self._predicted(candidates)
            if self.reevaluates:
                candidates, values = np.concatenate([genomes, candidates]), np.concatenate([evaluated, values])
            batch = candidates[self._selected(values, evaluated, self._n_iter, rng)]
            if not self.reevaluates:
                batch = self._filled(batch, np.concatenate([seen, batch]), rng)
            predicted, parts = self._predicted.errors(batch), self._predicted.parts(batch)
        names = self._surrogate.name, self._surrogate.winner
        return Batch(batch, predicted, *names, fitted, evaluated[:, 0], parts, seconds=seconds)

    def _population(self, archive: Archive, step: int) -> list[Entry]:
        """Return the successful evaluations of the previous step; of all steps if the weights are frozen."""
        entries = archive.batch(step - 1) if self.reevaluates else archive.entries()
        return [entry for entry in entries if entry.objectives is not None]

    def _arrays(self, entries: Sequence[Entry], m: int) -> tuple[Genomes, Floats]:
        """Return the genomes, (n, d), and the ``m`` objectives, (n, m), of evaluations; n may be 0."""
        genomes = np.array([entry.architecture.genome for entry in entries], dtype=np.int64)
        evaluated = np.array([entry.objectives for entry in entries], dtype=np.float64)
        return genomes.reshape(-1, self._space.n_genes), evaluated.reshape(-1, m)

    def _filled(self, genomes: Genomes, seen: Genomes, rng: np.random.Generator) -> Genomes:
        """Return the given genomes, filled up to ``n_iter`` with random genomes that are not among ``seen``."""
        missing = max(0, self._n_iter - len(genomes))
        return np.concatenate([genomes, self._space.sample_unseen(missing, seen, rng)])

    def _selected(self, values: Floats, evaluated: Floats, n: int, rng: np.random.Generator) -> Genomes:
        """Return the indices of the ``n`` rows of ``values`` that the selector chooses."""
        return self._selector.select(values, evaluated[non_dominated(evaluated)], n, rng)
