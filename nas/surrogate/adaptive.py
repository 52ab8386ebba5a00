"""Adaptive choice of the surrogate that ranks best in cross-validation."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, final

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import kendalltau
from threadpoolctl import threadpool_limits

from nas.errors import UserError
from nas.surrogate.base import Surrogate
from nas.types import Floats, Genomes, NonNegativeInt, PositiveInt

Factory = Callable[..., Surrogate]


@final
class Adaptive(Surrogate):
    """Adaptive switching (NSGANetV2, section 3.2 and Alg. 1, line 9): choice among surrogates by cross-validation.

    The score of a candidate is the mean minus the standard deviation of Kendall's tau over the folds. The candidate
    with the largest score wins; of equal ones the first. The winner is then fitted to all points. Candidates are
    evaluated in their order. A candidate is given up as soon as it cannot win even with perfect ranks on the remaining
    folds. As many folds run at the same time as torch has threads. Candidates that need more points than a fold leaves
    do not take part, unless no candidate would be left.

    With several outputs, tau of a fold is the mean over the outputs. An output without defined tau counts as 0.

    Example:
        >>> from nas.space.integer import IntegerSpace
        >>> from nas.surrogate.adaptive import Adaptive
        >>> from nas.surrogate.gp import GP
        >>> from nas.surrogate.rbf import RBF
        >>> others = {name: None for name in ("rbf_ensemble", "mlp", "cart", "additive_gp")}  # do not take part
        >>> surrogate = Adaptive(candidates=("rbf", "gp"), folds=2, rbf=RBF, gp=GP, **others)
        >>> genomes = IntegerSpace([0, 0], [4, 4]).sample(20, np.random.default_rng(0))
        >>> surrogate.fit(genomes, 1.0 * genomes[:, :1] + genomes[:, 1:])
        >>> surrogate.winner
        'rbf'
    """

    name = "adaptive"

    def __init__(
        self,
        *,
        candidates: tuple[Literal["rbf", "rbf_ensemble", "gp", "mlp", "cart", "additive_gp"], ...] = (
            "rbf",
            "gp",
            "cart",
        ),
        folds: PositiveInt = 10,
        seed: NonNegativeInt = 0,
        rbf: Factory,
        rbf_ensemble: Factory,
        gp: Factory,
        mlp: Factory,
        cart: Factory,
        additive_gp: Factory,
    ) -> None:
        """Set the candidates.

        Args:
            candidates: Names of the surrogates that take part, all different, in the order of their evaluation; fast
                ones first.
            folds: Number of folds of the cross-validation, at least 2 (published: 10).
            seed: Seed of the random division into folds.
            rbf: Function that makes a new ``rbf`` surrogate.
            rbf_ensemble: Function that makes a new ``rbf_ensemble`` surrogate.
            gp: Function that makes a new ``gp`` surrogate.
            mlp: Function that makes a new ``mlp`` surrogate.
            cart: Function that makes a new ``cart`` surrogate.
            additive_gp: Function that makes a new ``additive_gp`` surrogate.

        Raises:
            UserError: If there are no candidates, a candidate is named twice, or there are fewer than two folds.
        """
        if not candidates or len(set(candidates)) < len(candidates):
            raise UserError(
                f"surrogate.candidates={list(candidates)} must name one surrogate or more, each once, "
                "for example surrogate.candidates=[rbf,gp,cart]"
            )
        if folds < 2:
            raise UserError(f"surrogate.folds={folds} is too small: cross-validation needs 2 or more (published: 10)")
        factories: Mapping[str, Factory] = {
            "rbf": rbf,
            "rbf_ensemble": rbf_ensemble,
            "gp": gp,
            "mlp": mlp,
            "cart": cart,
            "additive_gp": additive_gp,
        }
        self._make: dict[str, Factory] = {name: factories[name] for name in candidates}
        self._candidates: tuple[str, ...] = candidates
        self._folds = folds
        self._seed = seed
        self._chosen: Surrogate | None = None

    def minimum_points(self, n_genes: int) -> int:
        """Return the smallest number of points that any of the candidates needs."""
        return min(make().minimum_points(n_genes) for make in self._make.values())

    @property
    def winner(self) -> str:
        """Name of the candidate in use; ``"adaptive"`` before the first fit."""
        return self.name if self._chosen is None else self._chosen.name

    def fit(self, genomes: Genomes, values: Floats) -> None:
        """Choose a candidate by cross-validation, and fit it to the values, (n, m), of genomes, (n, d).

        Raises:
            ValueError: If there are fewer different genomes than ``minimum_points``.
        """
        points, means = self.different(genomes, values)
        order = np.random.default_rng(self._seed).permutation(len(points))
        folds = np.array_split(order, min(self._folds, len(points) // 2)) if len(points) >= 4 else []
        fewest = len(points) - len(folds[0]) if folds else 0
        usable = [name for name in self._candidates if self._needs(name, genomes) <= fewest]
        if len(usable) < 2:
            usable = usable or [name for name in self._candidates if self._needs(name, genomes) <= len(points)]
            best = usable[0]
        else:
            best = self._choose(usable, points, means, folds)
        chosen = self._make[best]()
        chosen.fit(points, means)
        self._chosen = chosen

    def predict(self, genomes: Genomes) -> Floats:
        """Return the values that the winner predicts, (k, d) -> (k, m)."""
        assert self._chosen is not None, "fit comes first"
        return self._chosen.predict(genomes)

    def deviation(self, genomes: Genomes) -> Floats | None:
        """Return the winner's standard deviations, (k, d) -> (k, m); ``None`` if it has none."""
        assert self._chosen is not None, "fit comes first"
        return self._chosen.deviation(genomes)

    def covariance(self, genomes: Genomes) -> Floats | None:
        """Return the winner's covariance of the first output, (k, d) -> (k, k); ``None`` if it has none."""
        assert self._chosen is not None, "fit comes first"
        return self._chosen.covariance(genomes)

    def _needs(self, name: str, genomes: Genomes) -> int:
        return self._make[name]().minimum_points(genomes.shape[1])

    def _choose(
        self, usable: Sequence[str], points: Genomes, values: Floats, folds: Sequence[npt.NDArray[np.int64]]
    ) -> str:
        """Return the name of the candidate with the best score.

        Args:
            usable: Names of the candidates, at least two.
            points: Different genomes, shape (u, d).
            values: Values of the genomes, shape (u, m).
            folds: Indices of the genomes in each fold.
        """
        best, highest = usable[0], -np.inf
        workers = torch.get_num_threads()

        def tau(name: str, fold: npt.NDArray[np.int64]) -> float:
            rest = np.setdiff1d(np.arange(len(points)), fold)
            model = self._make[name]()
            model.fit(points[rest], values[rest])
            return _tau(model.predict(points[fold]), values[fold])

        with threadpool_limits(1 if workers > 1 else None), ThreadPoolExecutor(workers) as pool:
            for name in usable:
                taus: list[float] = []
                while len(taus) < len(folds) and best_possible(taus, len(folds)) > highest:
                    waiting = folds[len(taus) : len(taus) + workers]
                    taus += pool.map(tau, [name] * len(waiting), waiting)
                if len(taus) == len(folds) and np.mean(taus) - np.std(taus) > highest:
                    best, highest = name, float(np.mean(taus) - np.std(taus))
        return best


def best_possible(taus: Sequence[float], n: int) -> float:
    """Return the largest possible score, mean minus standard deviation, of ``n`` values that begin with ``taus``.

    For a given mean of the remaining values, the standard deviation is smallest if they are equal. As a function of
    that value the score is concave. Its maximum is at 1, or where its derivative is zero.

    Args:
        taus: Known values, at most 1.
        n: Total number of values.

    Example:
        >>> round(best_possible([0.5, 0.5], 4), 3)
        0.5
    """
    if not taus:
        return 1.0
    share, mean, variance = 1 - len(taus) / n, float(np.mean(taus)), float(np.var(taus))
    if share == 0:
        return mean - float(np.sqrt(variance))
    # The score is mean + share x - sqrt((1 - share) (variance + share x^2)); x: remaining values minus mean.
    x = 1 - mean
    if share < 0.5:
        x = min(x, (variance / (1 - 2 * share)) ** 0.5)
    score: float = mean + share * x - ((1 - share) * (variance + share * x**2)) ** 0.5
    return score


def _tau(predicted: Floats, values: Floats) -> float:
    taus = [kendalltau(*columns).statistic for columns in zip(predicted.T, values.T, strict=True)]
    return float(np.mean(np.nan_to_num(taus)))
