"""A run's data set and supernet, built anew in another process."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nas.dataset.base import Dataset
from nas.supernet.base import Supernet
from nas.task.base import build


@dataclass(frozen=True)
class Replica:
    """Settings that can be sent to other processes.

    Attributes:
        dataset, supernet: constructors that wait for their runtime arguments.
        cache: folder of downloaded files and decoded images.
    """

    dataset: Callable[..., Dataset]
    supernet: Callable[..., Supernet]
    cache: Path

    def __call__(self, device: str) -> tuple[Dataset, Supernet]:
        """Build both for a device."""
        dataset = build(self.dataset, {"cache": self.cache, "device": device})
        offers = {"cache": self.cache, "device": device, "dataset": dataset, "n_classes": dataset.n_classes}
        return dataset, build(self.supernet, offers)
