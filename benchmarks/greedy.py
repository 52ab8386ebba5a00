"""Seconds that GreedyCascade takes: one sorted sweep for each threshold, against a rescan for each candidate.

    python benchmarks/greedy.py [--networks 60] [--images 10000]

All references and six multipliers, 1.00 to 0.95. The baseline looks for a threshold as the published code does: every
different gap is tried in turn, from the least on, with a pass over all images each. It is timed on the first networks
of one cascade, and both must agree on their thresholds. Writes ``greedy.txt`` beside this file.
"""

import argparse
import platform
import time
from pathlib import Path

import numpy as np

from nas.algorithm.greedy import cascades

MULTIPLIERS = (1.0, 0.99, 0.98, 0.97, 0.96, 0.95)


def made_up(networks: int, images: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return right answers and gaps, (networks, images), and costs, (networks,): the gap says how sure to be."""
    rng = np.random.default_rng(0)
    skill = np.linspace(0.5, 3, networks)[:, None]
    confidence = skill + rng.standard_normal(images) + 0.7 * rng.standard_normal((networks, images))
    right = confidence > 2 * rng.random((networks, images)) - 0.5
    return right, np.exp(confidence).astype(np.float16).astype(np.float32), np.geomspace(20, 600, networks)


def rescan(right: np.ndarray, gaps: np.ndarray, network: int, reference: int, multiplier: float) -> tuple[int, float]:
    """Return how many images a network may answer, and the gap to exceed, -1 for any; all images are left."""
    for limit in (-1.0, *np.unique(gaps[network])):
        chosen = gaps[network] > limit
        mine, theirs = right[network, chosen], right[reference, chosen]
        if mine.any() and 100 * mine.mean() >= multiplier * 100 * theirs.mean():
            return int(chosen.sum()), float(limit)
    return 0, float(gaps[network].max())


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=60)
    parser.add_argument("--images", type=int, default=10_000)
    arguments = parser.parse_args()
    right, gaps, costs = made_up(arguments.networks, arguments.images)
    cascades(right[:2, :50], gaps[:2, :50], costs[:2], (1.0,))  # compiles
    start = time.perf_counter()
    found = cascades(right, gaps, costs, MULTIPLIERS)
    seconds = time.perf_counter() - start
    networks, thresholds = found[-len(MULTIPLIERS)]

    start = time.perf_counter()
    reference = len(right) - 1
    tried = [rescan(right, gaps, network, reference, 1.0) for network in range(len(right))]
    slow = time.perf_counter() - start
    first = int(np.argmax([count / cost for (count, _), cost in zip(tried, costs, strict=True)]))
    assert (first, np.float32(tried[first][1])) == (networks[0], np.float32(thresholds[0]))
    length = np.mean([len(networks) for networks, _ in found])
    lines = [
        f"{platform.processor() or platform.machine()}, one thread; {len(right)} networks, {right.shape[1]:,} images",
        f"    {len(found)} pairs of reference and multiplier, {length:.1f} networks a cascade on average",
        f"    sorted sweeps     {seconds:8.1f} s for all of them, {1000 * seconds / len(found):.1f} ms each",
        f"    rescans           {slow:8.1f} s for the first network of the cascade of the best reference alone",
    ]
    print("\n".join(lines))
    (Path(__file__).parent / "greedy.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
