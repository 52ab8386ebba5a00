"""What executor=process costs and gains: speed on two cores, overhead of an evaluation, handing over of weights.

``python benchmarks/executor.py`` evaluates the same architectures of the demo's supernet with random weights serially
and in two workers, by turns, and reports the best time of each. Where other programs use the cores too, times of the
clock say little, so the processor's time is reported beside them: what two workers use in all, over what serial uses,
says how much of two cores' work is lost.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nas.cli.compose import experiment_of
from nas.evaluator.base import Evaluator
from nas.executor.base import Executor, Work
from nas.executor.process import Process
from nas.executor.serial import Serial
from nas.seeding import rng_for
from nas.types import Architecture

SLEEP = 0.01  # seconds of an evaluation whose duration is known


class Sleeping(Evaluator):
    """Takes a known time; its weights are as large as asked for."""

    def __init__(self, mebibytes: int) -> None:
        """Make weights of so many MiB in 500 tensors."""
        self.tensors = {f"block.{i}.weight": torch.randn(mebibytes * 2**18 // 500) for i in range(500)}

    def weights(self) -> Mapping[str, Any]:
        """Return all tensors."""
        return self.tensors

    def load(self, weights: Mapping[str, Any]) -> None:
        """Take them over."""
        for name, tensor in weights.items():
            self.tensors[name].copy_(tensor)

    def __call__(self, architectures: Sequence[Architecture], split: str) -> Sequence[Mapping[str, float]]:
        """Sleep for each architecture."""
        time.sleep(SLEEP * len(architectures))
        return [{"top1": 0.0} for _ in architectures]


def sleeping(mebibytes: int, device: str) -> Sleeping:
    torch.set_num_threads(1)
    return Sleeping(mebibytes)


def timed(executor: Executor, work: Work, architectures: Sequence[Architecture]) -> float:
    start = time.perf_counter()
    found = dict(executor.map(work, architectures))
    assert all(evaluation.ok for evaluation in found.values())
    return time.perf_counter() - start


def processes(replica: Callable[[str], Evaluator], workers: int) -> Process:
    return Process(
        device="cpu",
        evaluator_replica=replica,
        objectives=[],
        gpus=None,
        workers_per_gpu=1,
        cpu_workers=workers,
        retries=0,
        timeout=None,
        start_timeout=600,
    )


def replica_of(cache: Path) -> Callable[[str], Evaluator]:
    """Return what builds the demo's evaluator."""
    return experiment_of(["training=none", "device=cpu", f"paths.cache={cache}"]).evaluator_replica


def used(pids: Sequence[int]) -> float:
    """Return the processor's seconds that processes have used."""
    ticks = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13] for pid in pids]
    return sum(int(value) for pair in ticks for value in pair) / os.sysconf("SC_CLK_TCK")


def speed(n: int, repeats: int) -> None:
    with tempfile.TemporaryDirectory() as cache:
        replica = replica_of(Path(cache))
        evaluator = replica("cpu")
        space = evaluator._supernet.space  # type: ignore[attr-defined]
        genomes = space.sample(n, rng_for(0, 0, "benchmark"))
        architectures = [space.decode(genome) for genome in genomes]
        work = Work(evaluator, "validation", "weights")
        serial, two = Serial(device="cpu", workers_per_gpu=None), processes(replica, 2)
        start = time.perf_counter()
        timed(two, work, architectures[:2])
        print(f"two workers are ready after {time.perf_counter() - start:.1f} s")
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
        pids = [os.getpid(), *map(int, children.read_text().split())]
        timed(serial, work, architectures)  # images are resized
        timed(two, work, architectures)
        times: dict[str, list[tuple[float, float]]] = {"serial": [], "two workers": []}
        for _ in range(repeats):
            for name, executor in (("serial", serial), ("two workers", two)):
                before = used(pids)
                seconds = timed(executor, work, architectures)
                times[name].append((seconds, used(pids) - before))
                print(f"  {name:12s} {seconds:6.2f} s, {times[name][-1][1]:6.2f} s of the processor, load {load()}")
        two.close()
    best = {name: min(seconds for seconds, _ in found) for name, found in times.items()}
    cpu = {name: min(seconds for _, seconds in found) for name, found in times.items()}
    print(
        f"{n} architectures, best of {repeats}: serial {best['serial']:.2f} s, two workers {best['two workers']:.2f} s"
    )
    print(f"  two workers are {best['serial'] / best['two workers']:.2f} times as fast")
    lost = cpu["two workers"] / cpu["serial"]
    print(f"  they use {lost:.3f} times the processor's time: two free cores would give {2 / lost:.2f} times at most")


def overhead(n: int, repeats: int) -> None:
    architectures = [Architecture((i,), {"i": i}) for i in range(n)]
    for workers in (1, 2):
        executor = processes(partial(sleeping, 1), workers)
        work = Work(Sleeping(1), "validation", "weights")
        timed(executor, work, architectures[: 2 * workers])
        best = min(timed(executor, work, architectures) for _ in range(repeats))
        executor.close()
        extra = best * workers / n - SLEEP
        print(f"{n} evaluations of {1000 * SLEEP:.0f} ms, {workers} workers: {1000 * extra:.2f} ms more each")


def handing_over(mebibytes: int, repeats: int) -> None:
    architectures = [Architecture((i,), {"i": i}) for i in range(2)]
    executor = processes(partial(sleeping, mebibytes), 2)
    evaluator = Sleeping(mebibytes)
    timed(executor, Work(evaluator, "validation", "first"), architectures)
    same = min(timed(executor, Work(evaluator, "validation", "first"), architectures) for _ in range(repeats))
    new = min(timed(executor, Work(evaluator, "validation", str(i)), architectures) for i in range(repeats))
    executor.close()
    print(f"{mebibytes} MiB of weights in 500 tensors reach two workers, with checksums, in {new - same:.2f} s")


def load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--architectures", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{os.cpu_count()} cores, one thread each, load {load()}, torch {torch.__version__}, numpy {np.__version__}")
    overhead(arguments.architectures, arguments.repeats)
    handing_over(48, arguments.repeats)
    speed(arguments.architectures, arguments.repeats)


if __name__ == "__main__":
    main()
