"""``space=supernet``: the search space of a supernet."""

from collections.abc import Mapping
from typing import Protocol, final

from nas.space.base import SearchSpace, SpaceSource
from nas.space.table import CostTable


class HasSpace(Protocol):
    """Protocol for the attributes of a supernet that this module uses.

    Attributes:
        space: Search space of the architectures.
        fingerprint: Hexadecimal digits that identify the supernet.
    """

    space: SearchSpace
    fingerprint: str

    def costs(self) -> Mapping[str, CostTable]:
        """Return tables of exact costs."""


@final
class SupernetSpace(SpaceSource):
    """Search space of the chosen supernet, with the costs of its architectures.

    Example:
        >>> from nas.space.choices import ChoiceSpace
        >>> class Toy:  # any supernet, for example nas.supernet.tiny.Tiny
        ...     space, fingerprint = ChoiceSpace({"depth": (1, 2), "r": (24, 32)}), "1"
        ...     def costs(self):
        ...         return {}
        >>> SupernetSpace(supernet=Toy()).space.names
        ('depth', 'r')
    """

    def __init__(self, *, supernet: HasSpace) -> None:
        """Take the search space and costs of a supernet."""
        self.space = supernet.space
        self.fingerprint = supernet.fingerprint
        self._costs = supernet.costs()

    def costs(self) -> Mapping[str, CostTable]:
        """Return the cost tables of the supernet."""
        return self._costs
