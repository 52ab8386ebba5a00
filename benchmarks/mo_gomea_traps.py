"""MO-GOMEA against NSGA-II and NSGA-III where genes must change together, and what it costs itself.

    python benchmarks/mo_gomea_traps.py              ten seeds, a few minutes on one core

Fifty bits in ten blocks of five. A block of all ones is worth 5 of the first objective and one with fewer ones the
more, the fewer it has, up to 4; the second objective is the same with zeros in the place of ones. Every single bit
leads away from one of the two; the front's eleven points have blocks of ones and of zeros only. Blocks lie together
("tight") or their bits anywhere ("scattered", another order in each seed). All start from the same hundred random
genomes and are stopped at the same number of evaluations.

Overhead is processor time outside of the fitness function, for each evaluation. Writes ``mo_gomea_traps.txt`` and
``mo_gomea_traps.png`` beside this file.
"""

import argparse
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.stats import wilcoxon

from nas.optimizer.base import Optimizer, Problem
from nas.optimizer.mo_gomea import MOGOMEA
from nas.optimizer.nsga2 import NSGA2
from nas.optimizer.nsga3 import NSGA3
from nas.space.base import SearchSpace
from nas.types import Architecture, Floats, Genomes

HERE = Path(__file__).parent
COLORS = {"mo_gomea": "#c8501e", "nsga2": "#2b6ca3", "nsga3": "#5b8c3a"}
BLOCKS = 10
BITS = 5 * BLOCKS
LAYOUTS = ("tight", "scattered")


class Plain(SearchSpace):
    """Genes that start at 0 and are always expressed."""

    def __init__(self, sizes: list[int]) -> None:
        self.lower, self.upper = np.zeros(len(sizes), dtype=np.int64), np.array(sizes) - 1
        self.names = tuple(f"gene{i}" for i in range(len(sizes)))

    def canonical(self, genomes: Genomes) -> Genomes:
        """Return the genomes as they are."""
        return genomes

    def decode(self, genome: Genomes) -> Architecture:
        """Return nothing but the genome."""
        return Architecture(tuple(genome.tolist()), {})

    def encode(self, config: Mapping[str, Any]) -> Genomes:
        """Raise: there are no other forms of these genomes."""
        raise NotImplementedError


class SpentError(Exception):
    """As many genomes were evaluated as allowed."""


class Watched:
    """A problem that keeps all objectives, stops the optimizer at the budget, and takes its own time."""

    def __init__(self, space: SearchSpace, objectives: Any, budget: int) -> None:
        self.values: list[Floats] = []
        self.seconds = 0.0
        self._objectives = objectives
        self._left = budget
        self.problem = Problem(space, self._evaluate, 2, lambda genomes, _: np.zeros(len(genomes)))

    def _evaluate(self, genomes: Genomes) -> Floats:
        start = time.process_time()
        values: Floats = self._objectives(genomes)
        self.values.append(values[: self._left])
        self._left -= len(values)
        self.seconds += time.process_time() - start
        if self._left < 0:
            raise SpentError
        return values

    def minimize(self, optimizer: Optimizer, initial: Genomes, rng: np.random.Generator) -> float:
        """Return the processor time outside of the fitness function, in seconds."""
        start = time.process_time()
        with suppress(SpentError):
            optimizer.minimize(self.problem, initial, rng)
        return time.process_time() - start - self.seconds


def traps(order: Genomes) -> Any:
    def objectives(genomes: Genomes) -> Floats:
        ones = genomes[:, order].reshape(len(genomes), BLOCKS, 5).sum(axis=2)
        worth = [np.where(n == 5, 5, 4 - n).sum(axis=1) for n in (ones, 5 - ones)]
        return -np.column_stack(worth).astype(np.float64)

    return objectives


def two_targets(space: SearchSpace) -> Any:
    """Weighted distances to two genomes: a front of very many points."""
    low, high = space.upper * 0.2, space.upper * 0.8
    weights = np.linspace(1, 2, space.n_genes) / space.upper

    def objectives(genomes: Genomes) -> Floats:
        return np.column_stack([np.abs(genomes - low) @ weights, np.abs(genomes - high) @ weights[::-1]])

    return objectives


def optimizers(budget: int) -> dict[str, Optimizer]:
    generations = budget // 50  # more than enough: some children are known already
    genetic: dict[str, Any] = {"population": 100, "generations": generations, "crossover_probability": 0.9}
    return {
        "mo_gomea": MOGOMEA(evaluations=budget, population=32, archive_capacity=1000),
        "nsga2": NSGA2(**genetic, mutation_eta=1.0),
        "nsga3": NSGA3(**genetic, directions=100, mutation_probability=1 / BITS, mutation_eta=1.0),
    }


def found(values: Floats) -> Genomes:
    """Return how many of the front's points were found after each evaluation, (n, 2) -> (n,)."""
    at = np.where(values.sum(axis=1) == -9 * BLOCKS, -values[:, 0], -1).astype(np.int64)
    first = [np.flatnonzero(at == point)[:1] for point in np.unique(at[at >= 0])]
    new = np.zeros(len(values), dtype=np.int64)
    new[np.concatenate([*first, np.zeros(0, dtype=np.int64)])] = 1
    return np.cumsum(new)


def compare(seeds: int, budget: int) -> dict[str, dict[str, np.ndarray]]:
    """Return the points found, shape (seeds, budget), by layout and optimizer."""
    space = Plain([2] * BITS)
    curves: dict[str, dict[str, list[np.ndarray]]] = {layout: {name: [] for name in COLORS} for layout in LAYOUTS}
    for layout in LAYOUTS:
        for seed in range(seeds):
            scattered = np.random.default_rng([seed, 1]).permutation(BITS)
            order = scattered if layout == "scattered" else np.arange(BITS)
            initial = space.sample(100, np.random.default_rng([seed, 2]))
            for name, optimizer in optimizers(budget).items():
                watched = Watched(space, traps(order), budget)
                watched.minimize(optimizer, initial, np.random.default_rng([seed, 3]))
                points = found(np.concatenate(watched.values))
                curves[layout][name].append(np.pad(points, (0, budget - len(points)), mode="edge"))
    return {layout: {name: np.array(runs) for name, runs in of.items()} for layout, of in curves.items()}


def table(curves: dict[str, dict[str, np.ndarray]], budget: int) -> str:
    lines = [f"points of the true front found, of {BLOCKS + 1}, after {budget} evaluations", ""]
    lines.append(f"{'seed':>6}" + "".join(f"{layout + ' ' + name:>20}" for layout in curves for name in COLORS))
    runs = [curves[layout][name][:, -1] for layout in curves for name in COLORS]
    for seed in range(len(runs[0])):
        lines.append(f"{seed:>6}" + "".join(f"{run[seed]:>20}" for run in runs))
    lines.append(f"{'mean':>6}" + "".join(f"{run.mean():>20.1f}" for run in runs))
    lines.append("")
    for layout, of in curves.items():
        for other in ("nsga2", "nsga3"):
            ours, theirs = of["mo_gomea"][:, -1], of[other][:, -1]
            p = wilcoxon(ours, theirs, alternative="greater").pvalue if np.any(ours != theirs) else 1.0
            better = f"{np.sum(ours > theirs)} of {len(ours)}"
            lines.append(
                f"{layout}: mo_gomea finds more than {other} in {better} seeds; one-sided Wilcoxon p = {p:.4f}"
            )
        whole = [int(np.argmax(run == BLOCKS + 1)) + 1 if run[-1] == BLOCKS + 1 else None for run in of["mo_gomea"]]
        lines.append(f"{layout}: evaluations until mo_gomea has the whole front, by seed: {whole}")
    return "\n".join(lines)


def overhead() -> str:
    lines = ["microseconds of mo_gomea itself for each evaluation (processor time, fitness not counted)", ""]
    lines.append(f"{'problem':>34}{'smallest population':>21}{'10,000':>9}{'100,000':>9}{'600,000':>9}  evaluations")
    cascade = Plain([201] * 5 + [51] * 4)
    problems = {
        "50 bits, traps": (Plain([2] * BITS), traps(np.arange(BITS))),
        "5 genes of 201 and 4 of 51 values": (cascade, two_targets(cascade)),
    }
    for name, (space, objectives) in problems.items():
        for population in (8, 32):
            cells = ""
            for budget in (10_000, 100_000, 600_000):
                rng = np.random.default_rng(0)
                optimizer = MOGOMEA(evaluations=budget, population=population, archive_capacity=10_000)
                watched = Watched(space, objectives, budget)
                seconds = watched.minimize(optimizer, space.sample(1, rng), rng)
                cells += f"{seconds / sum(map(len, watched.values)) * 1e6:>9.1f}"
            lines.append(f"{name:>34}{population:>21}{cells}")
    return "\n".join(lines)


def picture(curves: dict[str, dict[str, np.ndarray]], path: Path) -> None:
    figure = Figure(figsize=(9.6, 4.2), dpi=144, layout="constrained")
    for axes, (layout, of) in zip(figure.subplots(1, 2, sharey=True), curves.items(), strict=True):
        for name, runs in of.items():
            low, middle, high = runs.min(axis=0), runs.mean(axis=0), runs.max(axis=0)
            evaluations = np.arange(1, runs.shape[1] + 1)
            axes.fill_between(evaluations[::50], low[::50], high[::50], color=COLORS[name], alpha=0.2, linewidth=0)
            axes.plot(evaluations[::50], middle[::50], color=COLORS[name], label=f"{name} (mean, range)")
        axes.set_title(f"{layout} blocks")
        axes.set_xlabel("evaluations")
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel(f"points of the true front found, of {BLOCKS + 1}")
    figure.axes[1].legend(frameon=False, loc="center right")
    FigureCanvasAgg(figure).print_png(str(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--evaluations", type=int, default=10_000)
    arguments = parser.parse_args()
    costs = overhead()
    curves = compare(arguments.seeds, arguments.evaluations)
    text = f"{table(curves, arguments.evaluations)}\n\n{costs}"
    print(text)
    (HERE / "mo_gomea_traps.txt").write_text(text + "\n")
    picture(curves, HERE / "mo_gomea_traps.png")


if __name__ == "__main__":
    main()
