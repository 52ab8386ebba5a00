"""What is minimised: a name, a unit, and, for costs that need no evaluation, the values themselves."""

from abc import ABC, abstractmethod

from nas.types import Floats, Genomes, Measure

TOP1_ERROR = Measure("top1_error", "%")
"""The first objective of every search: 100 minus the top-1 accuracy on the validation split."""


class Objective(ABC):
    """A cost that is known without evaluating the network; always minimised.

    Attributes:
        measure: its name (a key of the run's metrics, for example ``"flops"``) and unit.
    """

    measure: Measure

    @abstractmethod
    def __call__(self, genomes: Genomes) -> Floats:
        """Return the cost of each canonical genome, (n, d) -> (n,), in the measure's unit."""
