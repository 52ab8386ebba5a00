"""Timing of networks, as a whole and part by part."""

import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter_ns, thread_time_ns
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from nas.types import Floats

CHANNELS = 3

Clock = Literal["wall", "processor"]

_PROCESSOR = Path("/proc/cpuinfo")  # exists on Linux only


def hardware(device: torch.device) -> str:
    """Return the name of the hardware of a device, for example of the GPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    lines = _PROCESSOR.read_text().splitlines() if _PROCESSOR.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def noise(batch_size: int, resolution: int, device: torch.device) -> Tensor:
    """Return random images, (batch_size, 3, resolution, resolution), in the memory format of data set batches."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch_size, CHANNELS, resolution, resolution, generator=generator)
    return images.to(device, memory_format=torch.channels_last)


def forward_times(
    network: nn.Module,
    images: Tensor,
    *,
    warmup: int,
    repeats: int,
    clock: Clock = "wall",
    parts: Sequence[nn.Module] = (),
) -> Floats:
    """Time forward passes, in milliseconds.

    On CUDA, the time between events of an otherwise idle device is measured. It includes the launching of kernels if
    the device waits for it.

    Args:
        network: Network in eval mode, on the device of the images.
        images: Normalized images, shape (n, 3, r, r).
        warmup: Number of passes before the measured ones.
        repeats: Number of measured passes.
        clock: Clock on the CPU: ``"wall"`` for elapsed time, ``"processor"`` for the computing time of this thread.
            Both are equal if torch uses one thread and nothing else runs. Other programs on the same core increase only
            the elapsed time.
        parts: Modules of the network that run one after the other, each once. Time between two of them is added to the
            first one.

    Returns:
        Milliseconds of whole passes, shape (repeats, 1). With ``parts``, the shape is (repeats, parts + 2): time before
        the first part, of each part, and after the last part. The sum of a row is the time of a whole pass.

    Example:
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 10)).eval()
        >>> images = noise(2, 8, torch.device("cpu"))
        >>> forward_times(network, images, warmup=1, repeats=5).shape
        (5, 1)
        >>> forward_times(network, images, warmup=1, repeats=5, parts=list(network)).shape
        (5, 4)
    """
    timer = _CudaTimer(images.device) if images.device.type == "cuda" else _CpuTimer(clock)

    def mark(*_: Any) -> None:
        timer.mark()

    hooks = [part.register_forward_pre_hook(mark) for part in parts]
    if parts:
        hooks.append(parts[-1].register_forward_hook(mark))
    try:
        with torch.inference_mode():
            for _ in range(warmup):
                _pass(network, images, timer)
            return np.array([_pass(network, images, timer) for _ in range(repeats)])
    finally:
        for hook in hooks:
            hook.remove()


class _CpuTimer:
    def __init__(self, clock: Clock) -> None:
        self._marks: list[int] = []
        self._now: Callable[[], int] = perf_counter_ns if clock == "wall" else thread_time_ns

    def start(self) -> None:
        self._marks.clear()

    def mark(self) -> None:
        self._marks.append(self._now())

    def read(self) -> Floats:
        """Return the milliseconds between marks."""
        return np.diff(np.array(self._marks, dtype=np.float64)) / 1e6


class _CudaTimer:
    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._marks: list[torch.cuda.Event] = []

    def start(self) -> None:
        self._marks.clear()
        torch.cuda.synchronize(self._device)

    def mark(self) -> None:
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self._device))
        self._marks.append(event)

    def read(self) -> Floats:
        """Return the milliseconds between marks."""
        torch.cuda.synchronize(self._device)
        pairs = zip(self._marks, self._marks[1:], strict=False)
        return np.array([before.elapsed_time(after) for before, after in pairs])


def _pass(network: nn.Module, images: Tensor, timer: _CpuTimer | _CudaTimer) -> Floats:
    timer.start()
    timer.mark()
    network(images)
    timer.mark()
    return timer.read()
