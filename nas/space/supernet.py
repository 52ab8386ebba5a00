"""``space=supernet``: the architectures of a supernet."""

from collections.abc import Mapping
from typing import Protocol, final

from nas.space.base import SearchSpace, SpaceSource
from nas.space.table import CostTable


class HasSpace(Protocol):
    """What is asked of a supernet."""

    space: SearchSpace
    fingerprint: str

    def costs(self) -> Mapping[str, CostTable]:
        """Return tables of exact costs."""


@final
class SupernetSpace(SpaceSource):
    """The search space of the chosen supernet."""

    def __init__(self, *, supernet: HasSpace) -> None:
        """Take the supernet's space and costs."""
        self.space = supernet.space
        self.fingerprint = supernet.fingerprint
        self._costs = supernet.costs()

    def costs(self) -> Mapping[str, CostTable]:
        """Return the supernet's tables."""
        return self._costs
