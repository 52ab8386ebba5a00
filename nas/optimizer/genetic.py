"""Common parts of the genetic algorithms that run through pymoo on integer genomes."""

from typing import Any
from warnings import catch_warnings

import numpy as np
import numpy.typing as npt
from pymoo.algorithms.base.genetic import GeneticAlgorithm
from pymoo.core.duplicate import DefaultDuplicateElimination
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem as PymooProblem
from pymoo.operators.mutation.pm import mut_pm
from pymoo.optimize import minimize

from nas.optimizer.base import Problem
from nas.optimizer.evaluations import Evaluations
from nas.space.base import SearchSpace
from nas.types import Floats, Genomes


def run(
    problem: Problem, algorithm: GeneticAlgorithm, generations: int, rng: np.random.Generator
) -> tuple[Genomes, Floats]:
    """Run a genetic algorithm and return its last population: canonical genomes, (k, d), and objectives, (k, m).

    Individuals keep genes that are not expressed. Their canonical form is evaluated, each genome once. Only individuals
    with the least constraint violation in the population are returned; these are the allowed ones if there are any.

    Args:
        problem: Problem to minimize.
        algorithm: Algorithm of pymoo with initial genomes, ``IntegerMutation`` and ``canonical_duplicates``.
        generations: Number of generations, including the initial population.
        rng: Random generator, the only source of randomness.
    """
    with catch_warnings():  # pymoo changes the filters of warnings
        population = minimize(_Wrapped(problem), algorithm, ("n_gen", generations), seed=rng).pop
    violations = population.get("G")[:, 0]
    best = population[violations == violations.min()]
    return problem.space.canonical(_integers(best.get("X"))), best.get("F").astype(np.float64)


def canonical_duplicates(space: SearchSpace) -> DefaultDuplicateElimination:
    """Return an operator that removes individuals with the same canonical genome as another one."""
    return DefaultDuplicateElimination(func=lambda population: space.canonical(_integers(population.get("X"))))


class IntegerMutation(Mutation):  # type: ignore[misc]
    """Polynomial mutation of integers by rounding.

    The mutated interval extends half a unit beyond each bound, so that the bounds are as likely as other values.
    """

    def __init__(self, eta: float, probability: float) -> None:
        """Set the distribution.

        Args:
            eta: Distribution index, above 0.
            probability: Mutation probability of each gene, 0 to 1.
        """
        super().__init__()
        self._eta = eta
        self._probability = probability

    def _do(
        self,
        problem: PymooProblem,
        X: npt.NDArray[Any],  # noqa: N803
        *args: Any,
        random_state: np.random.Generator,
        **kwargs: Any,
    ) -> npt.NDArray[np.float64]:
        half = 0.5 - 1e-9
        mutated = mut_pm(
            X.astype(np.float64),
            problem.xl - half,
            problem.xu + half,
            np.full(len(X), self._eta),
            np.full(len(X), self._probability),
            at_least_once=False,
            random_state=random_state,
        )
        rounded: npt.NDArray[np.float64] = np.rint(mutated)
        return rounded


class _Wrapped(PymooProblem):  # type: ignore[misc]
    """Problem in the form of pymoo. The violation is one inequality constraint; each genome is evaluated once."""

    def __init__(self, problem: Problem) -> None:
        self._evaluations = Evaluations(problem, np.iinfo(np.int64).max)
        space = problem.space
        super().__init__(
            n_var=space.n_genes,
            n_obj=problem.n_objectives,
            n_ieq_constr=1,
            xl=space.lower,
            xu=space.upper,
            vtype=int,
        )

    def _evaluate(self, x: npt.NDArray[Any], out: dict[str, Floats], *args: Any, **kwargs: Any) -> None:
        ids = self._evaluations(_integers(x))
        out["F"] = self._evaluations.objectives[ids]
        out["G"] = self._evaluations.violations[ids, None]


def _integers(genomes: npt.NDArray[Any]) -> Genomes:
    return np.ascontiguousarray(np.rint(genomes.astype(np.float64)), dtype=np.int64)
