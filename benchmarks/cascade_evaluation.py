"""Evaluations of random cascades a second, against one genome at a time in torch.

    python benchmarks/cascade_evaluation.py [--sizes a b c] [--threads 2] [--output FILE]

Sizes are images x classes x models: (a) 10,000 x 10 x 200, (b) 10,000 x 100 x 200 (CIFAR's), (c) 20,683 x 1,000 x 60
(ImageNet's). Genomes are random, of up to five networks. The baseline follows the definition with torch on one thread,
a genome at a time; both must agree on every genome that the baseline evaluates. Where there is a GPU, it evaluates the
same population, and must return exactly what the processor does. All rates are the best of five; those by processor
time count what the threads worked, which other programs on the machine hardly change. Needed are numpy, torch, numba
and annotated-types.

Bounds: an evaluation needs the outputs of each network it asks, for the images that reach it. Read from memory for
each genome, as the baseline does, those bytes over the measured bandwidth are the least time; a program that beats
this bound reuses what is in the caches. A population needs every output once: all bytes over the bandwidth are the
least time of one call, however few genomes it has. Writes ``cascade_evaluation.txt`` beside this file.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))  # for machines where the package is not installed

from nas.cascade.outputs import StoredOutputs, TorchOutputs
from nas.cascade.space import CascadeSpace

SIZES = {"a": (10_000, 10, 200), "b": (10_000, 100, 200), "c": (20_683, 1_000, 60)}
POPULATION = {"a": 20_000, "b": 4_000, "c": 400}
BASELINE = {"a": 100, "b": 30, "c": 4}
SEARCH = 600_000


def made_up(n: int, classes: int, models: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities, (models, n, classes), and labels, (n,): images differ in difficulty, models in skill."""
    labels = rng.integers(classes, size=n)
    ease = 6 / (0.3 + rng.gamma(1.5, 1.0, size=n)) * np.log(classes) / np.log(10)
    outputs = np.empty((models, n, classes), dtype=np.float16)
    for model in range(models):
        logits = rng.standard_normal((n, classes), dtype=np.float32)
        logits *= 1.5
        logits[np.arange(n), labels] += ease * (0.7 + 0.6 * model / models)
        np.exp(logits - logits.max(axis=1, keepdims=True), out=logits)
        outputs[model] = logits / logits.sum(axis=1, keepdims=True)
    return outputs, labels


def one_by_one(outputs: torch.Tensor, labels: torch.Tensor, networks: list[int], thresholds: list[float]) -> float:
    """Return the error of a cascade in percent, step by step as the definition says it."""
    positions = [position for position, network in enumerate(networks) if network > 0]
    mean = outputs[networks[positions[0]] - 1].float()
    asking = torch.ones(len(labels), dtype=torch.bool)
    for used, position in enumerate(positions[1:], start=2):
        asking[mean.max(dim=1).values > thresholds[position - 1]] = False
        if not asking.any():
            break
        new = outputs[networks[position] - 1].float()[asking]
        mean[asking] = (used - 1) / used * mean[asking] + 1 / used * new
    return 100 * float((mean.argmax(dim=1) != labels).sum()) / len(labels)


def bandwidth() -> float:
    """Return the bytes a second that one thread reads from memory: the best of five passes over 512 MB."""
    data = np.ones(2**27, dtype=np.float32)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        data.max()
        seconds.append(time.perf_counter() - start)
    return data.nbytes / min(seconds)


def best_of_five(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return a result and the least seconds and seconds of processor time, of all threads, that it took."""
    seconds, processor = [], []
    for _ in range(5):
        start, used = time.perf_counter(), time.process_time()
        found = work()
        seconds.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return found, min(seconds), min(processor)


def measure(name: str, threads: int, memory_mib: int, bytes_a_second: float) -> list[str]:
    """Return the lines of one size."""
    n, classes, models = SIZES[name]
    rng = np.random.default_rng(0)
    outputs, labels = made_up(n, classes, models, rng)
    names = [f"model{i}" for i in range(models)]
    space = CascadeSpace(names=names, costs=np.arange(models, dtype=np.float64), size=5, goal="cascade")
    genomes = rng.integers(space.lower, space.upper, size=(POPULATION[name], space.n_genes), endpoint=True)
    networks, thresholds = space.parts(genomes)

    few = BASELINE[name]
    tensors = torch.from_numpy(outputs), torch.from_numpy(labels)
    genes = list(zip(networks[:few].tolist(), thresholds[:few].tolist(), strict=True))
    slow, seconds, used = best_of_five(lambda: [one_by_one(*tensors, *each) for each in genes])
    one, one_used = few / seconds, few / used

    start = time.perf_counter()
    stored = StoredOutputs(outputs, labels, threads, memory_mib)
    layout = time.perf_counter() - start
    stored.cascades(networks[:2], thresholds[:2])  # compiles
    (errors, reached), seconds, used = best_of_five(lambda: stored.cascades(networks, thresholds))
    many, many_used = len(genomes) / seconds, len(genomes) / used
    np.testing.assert_allclose(errors[:few], slow, atol=100.01 / n)  # one image, where rounding ties

    needed = reached.sum(axis=1).mean() * classes * 2
    lines = [
        f"({name}) {n:,} images x {classes:,} classes x {models} models, {len(genomes):,} genomes",
        f"    one at a time, torch, 1 thread   {one:12,.1f} evaluations/s",
        f"    whole population, {threads} threads      {many:12,.1f} evaluations/s   {many / one:,.0f} times",
        f"    by processor time, a thread      {many_used:12,.1f} evaluations/s   {many_used / one_used:,.0f} times "
        f"{one_used:,.1f}/s one at a time",
        f"    {SEARCH:,} evaluations             {SEARCH / many:12,.0f} s; layout {layout:.1f} s once",
        f"    bound, outputs from memory       {threads * bytes_a_second / needed:12,.1f} evaluations/s"
        f"   ({needed / 1e6:.1f} MB an evaluation)",
        f"    bound, one call                  {1000 * outputs.nbytes / bytes_a_second / threads:12,.0f} ms"
        f"   ({outputs.nbytes / 1e6:,.0f} MB)",
    ]
    if torch.cuda.is_available():
        lines += measure_gpu(TorchOutputs(outputs, labels, "cuda"), networks, thresholds, (errors, reached), one)
    return lines


def measure_gpu(
    stored: TorchOutputs,
    networks: np.ndarray,
    thresholds: np.ndarray,
    expected: tuple[np.ndarray, np.ndarray],
    one: float,
) -> list[str]:
    """Return the line of the GPU, after comparing each genome's error and images with the processor's."""
    found, seconds, _ = best_of_five(lambda: stored.cascades(networks, thresholds))
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    rate = len(networks) / seconds
    return [
        f"    whole population, {torch.cuda.get_device_name()}   {rate:,.1f} evaluations/s   {rate / one:,.0f} times; "
        f"all {len(networks):,} equal"
    ]


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory-mib", type=int, default=8192, help="for outputs in single precision")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "cascade_evaluation.txt")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    speed = bandwidth()
    lines = [
        f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; "
        f"one thread reads {speed / 1e9:.1f} GB/s from memory"
    ]
    for name in arguments.sizes:
        lines += measure(name, arguments.threads, arguments.memory_mib, speed)
        print("\n".join(lines), flush=True)
    arguments.output.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
