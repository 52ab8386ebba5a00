"""The problem that surrogate-assisted algorithms let an optimizer solve instead of the expensive one."""

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
    """The error, and what else is not known exactly, as the surrogate predicts it; costs as they are."""

    def __init__(self, space: SearchSpace, objectives: Sequence[Objective], surrogate: Surrogate) -> None:
        """Take what is searched, what is minimised beside the error, and the model of what has to be measured."""
        self._space = space
        self._objectives = objectives
        self._surrogate = surrogate
        self._modelled = [0, *(i for i, objective in enumerate(objectives, 1) if not isinstance(objective, Cost))]

    def check_budget(self, key: str, value: int) -> None:
        """Raise UserError if a setting of this name lets the surrogate be fitted to fewer evaluations than it needs."""
        needed = self._surrogate.minimum_points(self._space.n_genes)
        if value < needed:
            raise UserError(
                f"{key}={value} is too small: surrogate={self._surrogate.name} needs at least {needed} "
                f"evaluated architectures in a space of {self._space.n_genes} genes; use {key}={needed} or more"
            )

    def fit(self, genomes: Genomes, evaluated: Floats, metrics: Sequence[Mapping[str, float]] = ()) -> None:
        """Fit the surrogate to evaluated genomes, (n, d), their objectives, (n, m), and what else it asks for.

        Args:
            genomes: Canonical.
            evaluated: Objectives.
            metrics: Metrics of the evaluations, length n; empty where the surrogate needs none.
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
        """Return what else is predicted of genomes, (n, d), by the name of what evaluations measure, (n,) each."""
        names = [self._objectives[i - 1].measure.name for i in self._modelled[1:]] + [*self._surrogate.metrics]
        return dict(zip(names, self._surrogate.predict(genomes).T[1:], strict=True)) if names else {}

    def problem(self) -> Problem:
        """Return what an optimizer minimises."""
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

    NSGANetV2, Alg. 1, lines 1-7. Algorithms given equal generators begin with equal designs. An end that breaks a
    hard constraint is left out. Fewer than ``n`` are returned only where the space has no more.
    """
    ends = np.stack([space.smallest, space.largest])[:n]
    ends = new_rows(ends[space.violation(ends) == 0], ends[:0])  # in a space of one architecture both are the same
    return np.concatenate([ends, space.sample_unseen(n - len(ends), ends, rng)])
