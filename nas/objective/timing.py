"""How long networks take, as a whole and part by part."""

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

_PROCESSOR = Path("/proc/cpuinfo")  # on Linux


def hardware(device: torch.device) -> str:
    """Return the name of what a device is."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    lines = _PROCESSOR.read_text().splitlines() if _PROCESSOR.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def noise(batch_size: int, resolution: int, device: torch.device) -> Tensor:
    """Return random images, (batch_size, 3, resolution, resolution), laid out as data sets' batches are."""
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

    On CUDA it is the time between events of an otherwise idle device, the launching of kernels included where the
    device waits for it.

    Args:
        network: In eval mode, on the images' device.
        images: Normalized, shape (n, 3, r, r).
        warmup: Number of passes before the measured ones.
        repeats: Passes that count.
        clock: On the CPU: ``"wall"``, or ``"processor"`` for the time that this thread computes. Where torch has one
            thread and nothing else runs the two are equal, and programs that take turns with this one make only the
            former longer.
        parts: Modules of the network that run one after the other, each once. What runs between two of them counts
            for the first of the two.

    Returns:
        Shape (repeats, 1): whole passes; with ``parts``, shape (repeats, parts + 2): before the first part, each
        part, after the last one. A row adds up to a whole pass.
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
