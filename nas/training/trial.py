"""What a training will take, told from a few of its steps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

_SECONDS = 1.0  # that a trial takes, about, after its warm-up
_MOST = 50


@dataclass(frozen=True)
class Trial:
    """What a training takes.

    Attributes:
        first: Seconds before the search of what the cache lacks, which all runs share, by what it will be there.
        first_bytes: Its size in the cache, by the same names.
        step: Seconds in each step of the search.
        warmup: Seconds more in the first one.
        run_bytes: Most bytes at a time in the run folder.
        processes: Devices that are held.
    """

    first: Mapping[str, float] = field(default_factory=dict)
    first_bytes: Mapping[str, int] = field(default_factory=dict)
    step: float = 0.0
    warmup: float = 0.0
    run_bytes: int = 0
    processes: int = 1

    def __add__(self, other: "Trial") -> "Trial":
        """Return what two trainings take that go on one after the other."""
        return Trial(
            first={**self.first, **other.first},
            first_bytes={**self.first_bytes, **other.first_bytes},
            step=self.step + other.step,
            warmup=self.warmup + other.warmup,
            run_bytes=self.run_bytes + other.run_bytes,
            processes=max(self.processes, other.processes),
        )


def seconds_each(action: Callable[[], object], device: torch.device) -> float:
    """Return the seconds that an action takes on average, repeated for about a second after a first time."""
    action()
    _finish(device)
    start, times = perf_counter(), 0
    while times == 0 or (times < _MOST and perf_counter() - start < _SECONDS):
        action()
        _finish(device)
        times += 1
    return (perf_counter() - start) / times


def size_of(tensors: Mapping[str, Any]) -> int:
    """Return the bytes of tensors."""
    return sum(tensor.nbytes for tensor in tensors.values() if isinstance(tensor, Tensor))


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
