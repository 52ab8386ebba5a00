"""Where the search space of a run comes from: the choices of the group ``space``."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from nas.space.base import SearchSpace
from nas.space.table import AdditiveTable


class SpaceSource(ABC):
    """A search space and what its architectures cost.

    Attributes:
        space: the architectures.
        fingerprint: hexadecimal digits that change when results do: with the networks, or the tables.
        n_classes: of the images that results are of, where they are not those of the run's data set; else ``None``.
    """

    space: SearchSpace
    fingerprint: str
    n_classes: int | None = None

    @abstractmethod
    def costs(self) -> Mapping[str, AdditiveTable]:
        """Return tables of exact costs.

        They are ``"macs"``, multiply-adds of one image, ``"params"``, weights and biases, and ``"latency"``,
        nanoseconds, where a benchmark has measured it.
        """
