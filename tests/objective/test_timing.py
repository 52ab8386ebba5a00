import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas.objective.timing import forward_times, hardware, noise

CPU = torch.device("cpu")


class Clock:
    """A clock that moves only when a module says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> int:
        return round(self.now * 1e6)


class Takes(nn.Module):
    """Moves a clock by some milliseconds."""

    def __init__(self, clock: Clock, *milliseconds: float) -> None:
        super().__init__()
        self.clock = clock
        self.milliseconds = iter(milliseconds)

    def forward(self, x: Tensor) -> Tensor:
        assert torch.is_inference_mode_enabled()
        self.clock.now += next(self.milliseconds)
        return x


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("nas.objective.timing.perf_counter_ns", clock)
    return clock


def test_parts_add_up_to_the_whole_and_each_gets_its_own(clock: Clock) -> None:
    parts = [Takes(clock, 50, n, 2 * n) for n in (1, 3, 8, 4)]
    times = forward_times(nn.Sequential(*parts), noise(1, 4, CPU), warmup=1, repeats=2, parts=parts[1:3])
    np.testing.assert_allclose(times, [[1, 3, 8, 4], [2, 6, 16, 8]])
    assert not any(part._forward_pre_hooks or part._forward_hooks for part in parts)


def test_whole_passes(clock: Clock) -> None:
    times = forward_times(Takes(clock, 9, 2, 3), noise(1, 4, CPU), warmup=1, repeats=2)
    np.testing.assert_allclose(times, [[2], [3]])


def test_processor_time_is_that_of_this_thread(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    computing = Clock()
    monkeypatch.setattr("nas.objective.timing.thread_time_ns", computing)
    network = nn.Sequential(Takes(clock, 20, 20, 30, 30), Takes(computing, 1, 1, 2, 2))
    times = {
        name: forward_times(network, noise(1, 4, CPU), warmup=0, repeats=2, clock=name)
        for name in ("wall", "processor")
    }
    assert times["wall"].tolist() == [[20], [20]]
    assert times["processor"].tolist() == [[2], [2]]


def test_hooks_go_when_a_network_fails() -> None:
    part = nn.Linear(3, 3)
    with pytest.raises(RuntimeError):
        forward_times(nn.Sequential(part), noise(1, 4, CPU), warmup=0, repeats=1, parts=[part])
    assert not part._forward_pre_hooks


def test_images() -> None:
    images = noise(2, 5, CPU)
    assert images.shape == (2, 3, 5, 5)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert math.isclose(float(images.std()), 1, abs_tol=0.2)
    assert torch.equal(images, noise(2, 5, CPU))


def test_hardware_has_a_name() -> None:
    assert hardware(CPU).strip()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_events() -> None:
    device = torch.device("cuda")
    parts = [nn.Conv2d(3, 3, 3, padding=1) for _ in range(3)]
    network = nn.Sequential(*parts).to(device)
    times = forward_times(network, noise(8, 64, device), warmup=2, repeats=3, parts=parts[1:])
    assert times.shape == (3, 4)
    assert np.isfinite(times).all()
    assert (times >= 0).all()
