"""NSGA-II on integer genomes, through pymoo."""

from typing import Any, final

import numpy as np
import numpy.typing as npt
from pymoo.algorithms.moo.nsga2 import NSGA2 as PymooNSGA2
from pymoo.core.duplicate import DefaultDuplicateElimination
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem as PymooProblem
from pymoo.operators.crossover.pntx import TwoPointCrossover
from pymoo.operators.mutation.pm import mut_pm
from pymoo.optimize import minimize

from nas.optimizer.base import Optimizer, Problem
from nas.types import Floats, Genomes, PositiveFloat, PositiveInt, Probability


@final
class NSGA2(Optimizer):
    """NSGA-II (Deb et al. 2002) with two-point crossover and integer polynomial mutation.

    This is the search for candidates in NSGANetV2 (Alg. 1, line 10): the population starts from the initial
    genomes alone, each gene mutates with probability 1/d, and mutation acts on the interval that reaches half a
    unit beyond each bound, so that the bounds are as likely as other values. Individuals keep genes that are not
    expressed, as the published code does; what is a duplicate, and what is evaluated, is their canonical form.
    """

    def __init__(
        self,
        *,
        population: PositiveInt,
        generations: PositiveInt,
        crossover_probability: Probability,
        mutation_eta: PositiveFloat,
    ) -> None:
        """Set the operators.

        Args:
            population: individuals that survive each generation.
            generations: generations, the initial population counted as the first.
            crossover_probability: of each pair of parents.
            mutation_eta: distribution index of polynomial mutation; larger values stay closer to the parent.
        """
        self._population = population
        self._generations = generations
        self._crossover_probability = crossover_probability
        self._mutation_eta = mutation_eta

    def minimize(self, problem: Problem, initial: Genomes, rng: np.random.Generator) -> tuple[Genomes, Floats]:
        """Return the last population, (k, d), and its objectives, (k, m)."""
        space = problem.space
        algorithm = PymooNSGA2(
            pop_size=self._population,
            sampling=initial,
            crossover=TwoPointCrossover(prob=self._crossover_probability),
            mutation=_IntegerMutation(self._mutation_eta),
            eliminate_duplicates=DefaultDuplicateElimination(func=lambda pop: space.canonical(_integers(pop.get("X")))),
        )
        result = minimize(_Cached(problem), algorithm, ("n_gen", self._generations), seed=rng)
        return space.canonical(_integers(result.pop.get("X"))), result.pop.get("F").astype(np.float64)


class _Cached(PymooProblem):  # type: ignore[misc]
    """The problem as pymoo sees it; every genome is evaluated once."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._known: dict[bytes, Floats] = {}
        space = problem.space
        super().__init__(n_var=space.n_genes, n_obj=problem.n_objectives, xl=space.lower, xu=space.upper, vtype=int)

    def _evaluate(self, x: npt.NDArray[Any], out: dict[str, Floats], *args: Any, **kwargs: Any) -> None:
        genomes = self._problem.space.canonical(_integers(x))
        keys = [row.tobytes() for row in genomes]
        fresh = {key: i for i, key in enumerate(keys) if key not in self._known}
        if fresh:
            values = self._problem.evaluate(genomes[list(fresh.values())])
            self._known.update(zip(fresh, values, strict=True))
        out["F"] = np.array([self._known[key] for key in keys])


class _IntegerMutation(Mutation):  # type: ignore[misc]
    """Polynomial mutation of integers by rounding."""

    def __init__(self, eta: float) -> None:
        super().__init__()
        self._eta = eta

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
            np.full(len(X), 1.0 / problem.n_var),
            at_least_once=False,
            random_state=random_state,
        )
        rounded: npt.NDArray[np.float64] = np.rint(mutated)
        return rounded


def _integers(genomes: npt.NDArray[Any]) -> Genomes:
    return np.ascontiguousarray(np.rint(genomes.astype(np.float64)), dtype=np.int64)
