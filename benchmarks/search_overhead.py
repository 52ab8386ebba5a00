"""The search side of one iteration of MSuNAS, against the published code's way of doing each part.

    python benchmarks/search_overhead.py             needs pySOT, so Python 3.11

One iteration at 340 archived architectures of Once-for-All's MobileNetV3 (46 genes): fit the surrogate, search 40
candidates in 20 generations, choose 8. The baseline, written here, does as NSGANetV2's code does: points are added to
pySOT's interpolant one at a time; for every candidate the subnet is cut out of the dynamic network and traced with
torchprofile; the subset is chosen by a genetic algorithm (100 individuals, 60 generations) that evaluates one subset
after the other. Tracing is timed on a few candidates and multiplied; everything else is run as it is. Then one
iteration of the default of ``algorithm=msunas``, and the other surrogates: ``adaptive`` on 350 points, and
``rbf_ensemble`` against 500 of pySOT's interpolants predicting row by row.
Writes ``search_overhead.txt`` beside this file. One thread.
"""

import argparse
import copy
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pymoo.algorithms.soo.nonconvex.ga import GA
from pymoo.core.crossover import Crossover
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem as PymooProblem
from pymoo.core.sampling import Sampling
from pymoo.optimize import minimize
from pySOT.surrogate import CubicKernel, LinearTail, RBFInterpolant
from study import Study
from threadpoolctl import threadpool_limits
from torchprofile import profile_macs

from nas.algorithm.predicted import Predicted
from nas.optimizer.base import Problem
from nas.pareto import non_dominated
from nas.selector.subset import Subset
from nas.space.base import new_rows

HERE = Path(__file__).parent
PAPER = "experiment=msunas_paper"
ARCHIVED, POPULATION, GENERATIONS, CHOSEN = 340, 40, 20, 8
DEFAULT = (("surrogate", "additive_gp"), ("optimizer", "ehvi"), ("selector", "ehvi"))


def pysot(genomes: np.ndarray, errors: np.ndarray) -> RBFInterpolant:
    d = genomes.shape[1]
    model = RBFInterpolant(dim=d, lb=np.zeros(d), ub=np.ones(d), kernel=CubicKernel(), tail=LinearTail(d))
    for genome, error in zip(genomes.astype(float), errors, strict=True):
        model.add_points(genome, error)
    return model


class _Subsets(PymooProblem):
    def __init__(self, candidates: np.ndarray, front: np.ndarray) -> None:
        super().__init__(n_var=len(candidates), n_obj=1, n_ieq_constr=1, xl=0, xu=1, vtype=bool)
        self._candidates, self._front = candidates, front

    def _evaluate(self, x: np.ndarray, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        unions = [np.sort(np.concatenate([self._front, self._candidates[row]])) for row in x.astype(bool)]
        out["F"] = np.array([[np.std(np.diff(union))] for union in unions])
        out["G"] = np.array([[float((CHOSEN - row.sum()) ** 2)] for row in x.astype(bool)])


class _Draw(Sampling):
    def _do(self, problem: Any, n_samples: int, *args: Any, random_state: Any = None, **kwargs: Any) -> np.ndarray:
        rows = np.zeros((n_samples, problem.n_var), dtype=bool)
        for row in rows:
            row[random_state.permutation(problem.n_var)[:CHOSEN]] = True
        return rows


class _Mix(Crossover):
    def __init__(self) -> None:
        super().__init__(2, 1)

    def _do(self, problem: Any, X: Any, *args: Any, random_state: Any = None, **kwargs: Any) -> np.ndarray:  # noqa: N803
        children = X[0] & X[1]
        for child, either in zip(children, X[0] ^ X[1], strict=True):
            free = np.flatnonzero(either)
            missing = CHOSEN - int(child.sum())
            child[random_state.permutation(free)[:missing]] = True
        return children[None]


class _Swap(Mutation):
    def _do(self, problem: Any, X: Any, *args: Any, random_state: Any = None, **kwargs: Any) -> np.ndarray:  # noqa: N803
        result = X.copy()
        for row in result:
            row[random_state.choice(np.flatnonzero(row))] = False
            row[random_state.choice(np.flatnonzero(~row))] = True
        return result


def subset_by_ga(candidates: np.ndarray, front: np.ndarray) -> np.ndarray:
    ga = GA(pop_size=100, sampling=_Draw(), crossover=_Mix(), mutation=_Swap(), eliminate_duplicates=True)
    return minimize(_Subsets(candidates, front), ga, ("n_gen", 60), seed=0).X


def timed(function: Callable[..., Any], *arguments: Any, repeats: int = 1) -> tuple[float, Any]:
    """Return the median seconds of a call, and its last result."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function(*arguments)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds)), result


def tracing(study: Study, genomes: np.ndarray) -> float:
    """Return the seconds it takes to cut one subnet out and to trace it."""
    start = time.perf_counter()
    for genome in genomes:
        architecture = study.space.decode(genome)
        side = architecture.config["r"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            profile_macs(copy.deepcopy(study.supernet.extract(architecture)), torch.randn(1, 3, side, side))
    return (time.perf_counter() - start) / len(genomes)


def iteration(study: Study, traced: int) -> list[str]:
    genomes = study.space.sample(ARCHIVED, np.random.default_rng(0))
    objectives = study.objectives(genomes)
    front = non_dominated(objectives)
    theirs_fit, model = timed(pysot, genomes, objectives[:, 0])
    surrogate = study.part("surrogate", "rbf")
    ours_fit, _ = timed(surrogate.fit, genomes, objectives[:, :1], repeats=5)

    def problem(predict: Callable[[np.ndarray], np.ndarray]) -> Problem:
        def evaluate(rows: np.ndarray) -> np.ndarray:
            return np.column_stack([predict(rows), study.objective(rows)])

        return Problem(study.space, evaluate, 2, lambda rows, _: np.zeros(len(rows)))

    def search(predict: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        return study.part("optimizer", "nsga2", PAPER).minimize(
            problem(predict), genomes[front], np.random.default_rng(0)
        )

    theirs_search, _ = timed(search, lambda rows: model.predict(rows.astype(float))[:, 0])
    each = tracing(study, genomes[:traced])
    theirs_search += each * POPULATION * GENERATIONS
    ours_search, (population, found) = timed(search, lambda rows: surrogate.predict(rows)[:, 0], repeats=5)
    new = np.array([len(new_rows(row[None], genomes)) > 0 for row in population])
    candidates, known = found[new], objectives[front]
    theirs_choice, _ = timed(subset_by_ga, candidates[:, 1], known[:, 1])
    ours_choice, _ = timed(Subset().select, candidates, known, CHOSEN, np.random.default_rng(0), repeats=5)
    rows = [
        ("fit", theirs_fit, ours_fit),
        ("candidate search", theirs_search, ours_search),
        ("selection", theirs_choice, ours_choice),
    ]
    rows.append(("one iteration", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    lines = [f"{'':>18}{'published way':>16}{'here':>12}{'ratio':>10}"]
    lines += [f"{name:>18}{a:>14.3f} s{1e3 * b:>9.1f} ms{a / b:>10,.0f}" for name, a, b in rows]
    lines.append(
        f"(cutting out and tracing {POPULATION * GENERATIONS} candidates: {each:.3f} s each, timed on {traced})"
    )
    return lines


def default(study: Study) -> list[str]:
    genomes = study.space.sample(ARCHIVED, np.random.default_rng(0))
    objectives = study.objectives(genomes)
    front = non_dominated(objectives)
    surrogate, optimizer, selector = (study.part(*part) for part in DEFAULT)
    predicted = Predicted(study.space, [study.objective], surrogate)
    fit, _ = timed(predicted.fit, genomes, objectives, repeats=5)

    def search() -> np.ndarray:
        return new_rows(optimizer.minimize(predicted.problem(), genomes[front], np.random.default_rng(0))[0], genomes)

    def choose() -> np.ndarray:
        values, covariance = predicted(candidates), surrogate.covariance(candidates)
        return selector.select(values, objectives[front], CHOSEN, np.random.default_rng(0), covariance)

    searched, candidates = timed(search, repeats=5)
    chosen, _ = timed(choose, repeats=5)
    return [
        f"the default ({', '.join('='.join(part) for part in DEFAULT)}: 200 candidates in 50 generations):",
        f"fit {fit:.3f} s, search {searched:.3f} s, selection among {len(candidates)} {chosen:.3f} s; "
        f"one iteration {fit + searched + chosen:.3f} s",
    ]


def surrogates(study: Study) -> list[str]:
    rng = np.random.default_rng(1)
    genomes = study.space.sample(350, rng)
    surrogate = study.part("surrogate", "adaptive")
    seconds, _ = timed(surrogate.fit, genomes, study.errors(genomes)[:, None])
    lines = [f"adaptive, 350 points: fit {seconds:.2f} s (chose {surrogate.winner})"]
    genomes, rows = rng.integers(0, 3, (300, 22)), rng.integers(0, 3, (10_000, 22))
    values = (genomes @ rng.normal(size=22) + rng.normal(size=300))[:, None]
    surrogate = study.part("surrogate", "rbf_ensemble")
    fit, _ = timed(surrogate.fit, genomes, values)
    predict, _ = timed(surrogate.predict, rows)
    model = pysot(genomes[:, :15], values[:, 0])
    one, _ = timed(lambda: [model.predict(row[None, :15].astype(float)) for row in rows[:200]])
    theirs = one / 200 * 500 * len(rows)
    lines.append(
        f"rbf_ensemble, 500 members, 300 points, 22 genes: fit {fit:.2f} s; 10,000 predictions {predict:.2f} s, "
        f"row by row through 500 of pySOT's {theirs:,.0f} s ({theirs / predict:,.0f} times as long)"
    )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traced", type=int, default=20, help="candidates that tracing is timed on")
    parser.add_argument("--predictor", type=Path, help="file of OFA's accuracy predictor; default: the published one")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        study = Study(arguments.predictor)
        lines = [*iteration(study, arguments.traced), "", *default(study), "", *surrogates(study)]
    lines.append(f"(one thread, torch {torch.__version__}, numpy {np.__version__}, Python {platform.python_version()})")
    text = "\n".join(lines)
    print(text)
    (HERE / "search_overhead.txt").write_text(text + "\n")


if __name__ == "__main__":
    main()
