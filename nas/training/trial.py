"""Cost of a training, estimated from a few of its steps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

_SECONDS = 1.0  # approximate duration of a measurement, after the first call
_MOST = 50  # largest number of repetitions


@dataclass(frozen=True)
class Trial:
    """Estimated cost of a training.

    Attributes:
        first: Seconds of trainings before the search, by the name of their file in the cache. All runs share these
            files; those that the cache already has are left out.
        first_bytes: Sizes of these files in bytes, by the same names.
        step: Seconds of training in each step of the search.
        warmup: Additional seconds in the first step.
        run_bytes: Largest size of the checkpoints in the run folder, in bytes.
        processes: Number of processes, each with a device of its own.

    Example:
        >>> from nas.training.trial import Trial
        >>> both = Trial(step=2.0, run_bytes=100) + Trial(step=3.0, run_bytes=50, processes=2)
        >>> both.step, both.run_bytes, both.processes
        (5.0, 150, 2)
    """

    first: Mapping[str, float] = field(default_factory=dict)
    first_bytes: Mapping[str, int] = field(default_factory=dict)
    step: float = 0.0
    warmup: float = 0.0
    run_bytes: int = 0
    processes: int = 1

    def __add__(self, other: "Trial") -> "Trial":
        """Return the cost of two trainings that run one after the other."""
        return Trial(
            first={**self.first, **other.first},
            first_bytes={**self.first_bytes, **other.first_bytes},
            step=self.step + other.step,
            warmup=self.warmup + other.warmup,
            run_bytes=self.run_bytes + other.run_bytes,
            processes=max(self.processes, other.processes),
        )


def seconds_each(action: Callable[[], object], device: torch.device) -> float:
    """Return the mean seconds of an action, repeated for about a second after a first call that does not count.

    Args:
        action: Function to measure.
        device: Torch device of its computation; each measurement waits until a GPU has finished.
    """
    action()
    _finish(device)
    start, times = perf_counter(), 0
    while times == 0 or (times < _MOST and perf_counter() - start < _SECONDS):
        action()
        _finish(device)
        times += 1
    return (perf_counter() - start) / times


def size_of(tensors: Mapping[str, Any]) -> int:
    """Return the total size of the tensors in bytes; other values are ignored."""
    return sum(tensor.nbytes for tensor in tensors.values() if isinstance(tensor, Tensor))


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
