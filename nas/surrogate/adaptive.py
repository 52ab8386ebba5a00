"""The surrogate that ranks best in cross-validation."""

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
    """Adaptive switching (NSGANetV2, section 3.2 and Alg. 1, line 9): cross-validated choice among surrogates.

    The winner has the largest mean minus standard deviation of Kendall's tau over the folds, and is then fitted to
    all points; of equals the one named first. Candidates are tried in their order, and one is given up as soon as it
    could not win even if it ranked the folds that are left as well as possible. As many folds as torch has threads
    run at a time. Candidates that cannot be fitted to a fold's points do not take part, unless that leaves none.

    Where there are several outputs, a fold's tau is the mean over them; one without any order counts as 0.
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
            candidates: Surrogates that take part, the fast ones first.
            folds: Number of folds of the cross-validation, 2 or more (published: 10).
            seed: Seed of the division into folds.
            rbf: Makes a new one, as the following do.
            rbf_ensemble: The same.
            gp: The same.
            mlp: The same.
            cart: The same.
            additive_gp: The same.

        Raises:
            UserError: If there are no candidates, one is named twice, or there is one fold.
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
        """Return the least number of points that one of the candidates needs."""
        return min(make().minimum_points(n_genes) for make in self._make.values())

    @property
    def winner(self) -> str:
        """The candidate in use; before the first fit, ``"adaptive"``."""
        return self.name if self._chosen is None else self._chosen.name

    def fit(self, genomes: Genomes, values: Floats) -> None:
        """Choose on values, (n, d) and (n, m), and fit to all; ValueError below ``minimum_points`` different ones."""
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
        """Predict values with the winner, (k, d) -> (k, m)."""
        assert self._chosen is not None, "fit comes first"
        return self._chosen.predict(genomes)

    def deviation(self, genomes: Genomes) -> Floats | None:
        """Return the winner's deviations, (k, d) -> (k, m); ``None`` where it has none."""
        assert self._chosen is not None, "fit comes first"
        return self._chosen.deviation(genomes)

    def covariance(self, genomes: Genomes) -> Floats | None:
        """Return the winner's covariances of the first output, (k, d) -> (k, k); ``None`` where it has none."""
        assert self._chosen is not None, "fit comes first"
        return self._chosen.covariance(genomes)

    def _needs(self, name: str, genomes: Genomes) -> int:
        return self._make[name]().minimum_points(genomes.shape[1])

    def _choose(
        self, usable: Sequence[str], points: Genomes, values: Floats, folds: Sequence[npt.NDArray[np.int64]]
    ) -> str:
        """Return the candidate with the best score."""
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
    """Return the largest mean minus standard deviation of ``n`` values of at most 1 that begin with ``taus``.

    For a given mean of the values that are left, the deviation is least where they are equal. As a function of that
    value the score is concave: its maximum is at 1, or where its derivative is zero.
    """
    if not taus:
        return 1.0
    share, mean, variance = 1 - len(taus) / n, float(np.mean(taus)), float(np.var(taus))
    if share == 0:
        return mean - float(np.sqrt(variance))
    # With x the distance of the others from the mean: mean + share x - sqrt((1 - share) (variance + share x^2)).
    x = 1 - mean
    if share < 0.5:
        x = min(x, (variance / (1 - 2 * share)) ** 0.5)
    score: float = mean + share * x - ((1 - share) * (variance + share * x**2)) ** 0.5
    return score


def _tau(predicted: Floats, values: Floats) -> float:
    taus = [kendalltau(*columns).statistic for columns in zip(predicted.T, values.T, strict=True)]
    return float(np.mean(np.nan_to_num(taus)))
