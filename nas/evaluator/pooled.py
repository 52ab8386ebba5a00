"""``space=cascade``: cascades and ensembles of a pool's networks, as ENCAS searches them."""

from typing import final

from nas.evaluator.cascade_source import CascadeSource, Outcome, PoolOfNetworks, Split
from nas.evaluator.stored import StoredOutputs
from nas.evaluator.stored_torch import TorchOutputs
from nas.space.cascade import CascadeSpace, Goal
from nas.types import Genomes, PositiveInt


@final
class PooledCascades(CascadeSource):
    """Cascades that average the probabilities of the networks asked so far, or ensembles that ask all of them."""

    def __init__(
        self,
        *,
        pool: PoolOfNetworks,
        device: str,
        search_goal: Goal,
        size: PositiveInt,
        threads: PositiveInt,
        memory_mib: PositiveInt,
    ) -> None:
        """Describe the space.

        Args:
            pool: whose outputs are stored.
            device: ``"cpu"``, or where torch evaluates.
            search_goal: cascades, or ensembles.
            size: most networks of one.
            threads: of evaluations on the CPU; results do not depend on them.
            memory_mib: for outputs in single precision on the CPU; beyond it they stay in half precision.
        """
        super().__init__(pool)
        self.space: CascadeSpace = CascadeSpace(
            names=pool.names, costs=pool.costs["flops"], size=size, goal=search_goal
        )
        self.longest = size
        self._device, self._threads, self._memory = device, threads, memory_mib
        self._stored: dict[Split, StoredOutputs | TorchOutputs] = {}

    def _evaluate(self, genomes: Genomes, split: Split) -> Outcome:
        if split not in self._stored:
            found = self._pool.outputs(split)
            if self._device.startswith("cuda"):
                self._stored[split] = TorchOutputs(found.probabilities, found.labels, self._device)
            else:
                self._stored[split] = StoredOutputs(found.probabilities, found.labels, self._threads, self._memory)
        stored = self._stored[split]
        networks, thresholds = self.space.parts(genomes)
        errors, reached = stored.cascades(networks, thresholds)
        return Outcome(errors, networks, reached, stored.n_images)
