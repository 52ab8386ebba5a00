"""Evaluator for the published results of NAS-Bench-201."""

from collections.abc import Mapping, Sequence
from typing import final

import numpy as np

from nas.errors import UserError
from nas.evaluator.base import ArrayEvaluator
from nas.space.base import SpaceSource
from nas.space.nasbench201 import NasBench201
from nas.supernet.base import Supernet
from nas.supernet.none import NoSupernet
from nas.types import MILLION, Genomes


@final
class NasBench201Evaluator(ArrayEvaluator):
    """Evaluator that looks up cells in the tables of ``space=nasbench201``.

    It trains and measures nothing.

    Example:
        >>> from nas.evaluator.nasbench201 import NasBench201Evaluator
        >>> NasBench201Evaluator.runs_networks
        False
    """

    def __init__(self, *, source: SpaceSource, supernet: Supernet) -> None:
        """Take the tables from the search space.

        Args:
            source: Search space with its tables; must be ``space=nasbench201``.
            supernet: Supernet; must be ``supernet=none``, because results do not depend on one.

        Raises:
            UserError: If the search space is another one or a supernet is set.
        """
        if not isinstance(source, NasBench201):
            raise UserError("evaluator=nasbench201 has results of space=nasbench201 alone")
        if not isinstance(supernet, NoSupernet):
            raise UserError("space=nasbench201 has results without networks: leave out supernet=")
        self._source = source
        self._tables = source.costs()

    def measure(self, genomes: Genomes, split: str) -> Sequence[Mapping[str, float]]:
        """Return ``top1`` (percent), ``loss`` (nats), ``flops``, ``params`` (millions), ``latency`` (ms) if known."""
        top1, loss = self._source.results(genomes, split)
        names = {"flops": "macs", "params": "params", "latency": "latency"}
        costs = {name: self._tables[table](genomes) / MILLION for name, table in names.items() if table in self._tables}
        found = {"top1": top1, "loss": loss} | costs
        return [dict(zip(found, values, strict=True)) for values in np.column_stack(list(found.values())).tolist()]
