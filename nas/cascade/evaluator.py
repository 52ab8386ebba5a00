"""Evaluator that measures cascades on the stored outputs of their networks."""

from collections.abc import Mapping, Sequence
from typing import final

import numpy as np
import numpy.typing as npt

from nas.cascade.source import CascadeSource
from nas.errors import UserError
from nas.evaluator.base import ArrayEvaluator
from nas.pool.base import Split
from nas.space.base import SpaceSource
from nas.types import Floats, Genomes


@final
class CascadeEvaluator(ArrayEvaluator):
    """Evaluator that computes accuracy, average costs and exit rates of cascades without running a network.

    Example:
        >>> from nas.cascade.evaluator import CascadeEvaluator
        >>> from nas.cascade.source import PooledCascades
        >>> from nas.pool.none import Specimen
        >>> evaluator = CascadeEvaluator(source=PooledCascades(pool=Specimen(), device="cpu"))
        >>> evaluator.runs_networks
        False
    """

    def __init__(self, *, source: SpaceSource) -> None:
        """Set the source of cascades.

        Args:
            source: Search space of cascades: ``space=cascade`` or ``space=gap_cascade``.

        Raises:
            UserError: If the search space is not one of cascades.
        """
        if not isinstance(source, CascadeSource):
            raise UserError("evaluator=cascade measures cascades alone: choose space=cascade or space=gap_cascade")
        self._source = source

    def errors(self, genomes: Genomes) -> Floats:
        """Return the top-1 errors on the validation images, (n, d) -> (n,), percent."""
        return self._source.outcome(genomes, "validation").errors

    def measure(self, genomes: Genomes, split: str) -> Sequence[Mapping[str, float]]:
        """Return ``top1`` (percent), average costs per image on this split, and ``answered_<i>`` for each stage.

        ``answered_<i>`` is the percentage of images that exit at the i-th stage. On the test images, after a search,
        ``kept`` is 1 for the genomes that the published filtering of a Pareto front keeps, else 0.
        """
        asked: Split = "test" if split == "test" else "validation"
        outcome = self._source.outcome(genomes, asked)
        found = {"top1": 100 - outcome.errors} | self._source.average_costs(outcome)
        if asked == "test":
            validation = self._source.outcome(genomes, "validation")
            cost = self._source.average_costs(validation)["flops"]
            found["kept"] = worth_keeping(100 - validation.errors, cost).astype(np.float64)
        used = (outcome.networks > 0).sum(axis=1)
        answered = 100 * -np.diff(outcome.reached, axis=1, append=0) / outcome.n_images
        results = []
        for row in range(len(genomes)):
            metrics = {name: float(values[row]) for name, values in found.items()}
            metrics |= {f"answered_{i + 1}": float(answered[row, i]) for i in range(used[row])}
            results.append(metrics)
        return results


def worth_keeping(accuracies: Floats, costs: Floats) -> npt.NDArray[np.bool_]:
    """Return which cascades improve the accuracy by a tenth of a percent over all cheaper ones, shape (n,).

    In order of cost, a cascade is kept if its validation accuracy, rounded to one decimal, is higher than that of every
    cheaper cascade. ENCAS's published code applies this filter before it reports test accuracies.

    Args:
        accuracies: Accuracies on the validation images, percent, shape (n,).
        costs: Costs of the cascades, shape (n,).

    Example:
        >>> import numpy as np
        >>> from nas.cascade.evaluator import worth_keeping
        >>> worth_keeping(np.array([70.0, 70.04, 75.0]), np.array([1.0, 2.0, 3.0])).tolist()
        [True, False, True]
    """
    order = np.lexsort((-accuracies, costs))
    tenths = np.round(accuracies[order] * 10)
    before = np.concatenate([[0.0], np.maximum.accumulate(tenths)[:-1]]) if len(order) else tenths
    kept = np.zeros(len(order), dtype=np.bool_)
    kept[order] = tenths > before
    return kept
