"""NAT against MSuNAS on frozen weights and against random search, on digits: hypervolume on the test images.

    python benchmarks/nat_digits.py            ten seeds, about twenty minutes on two cores

All three begin with the same weights and the same initial design, and evaluate as many architectures; NAT's evaluations
of adapted architectures count like all others. There are two starting points: a supernet that was trained for a few
epochs, and one that was trained to the end. The fronts are chosen on the validation images. The runs are in
``outputs/benchmark_nat_digits``; what is finished there is not run again. Writes ``nat_digits.txt`` and
``nat_digits.png`` beside this file.
"""

import argparse
import csv
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.stats import wilcoxon

from nas.pareto import hypervolume

HERE = Path(__file__).parent
OUTPUTS = HERE.parent / "outputs" / "benchmark_nat_digits"
COLORS = {"nat": "#c8501e", "msunas": "#2b6ca3", "random": "#7a7a7a"}
EPOCHS = (6, 60)  # of the supernet's first training
REFERENCE = np.array([60.0, 1.3])  # top-1 error in percent, millions of multiply-adds
COMMON = [
    *("dataset=digits", "supernet=tiny", "tracker=csv", f"reference_point=[{REFERENCE[0]},{REFERENCE[1]}]"),
    *("algorithm.n_doe=40", "algorithm.n_iter=40", "algorithm.iterations=8"),
]
OWN = {
    "nat": [
        *("training.lr=0.05", "training.averaged_iterations=4"),
        *("surrogate.members=100", "optimizer.generations=50"),
    ],
    "msunas": ["surrogate=additive_gp", "optimizer=nsga2", "selector=hvi"],
    "random": [],
}


def run(algorithm: str, epochs: int, seeds: list[int]) -> None:
    first = "training.initial" if algorithm == "nat" else "training"
    subprocess.run(
        [
            *(sys.executable, str(HERE.parent / "launch.py"), "-m", f"seed={','.join(map(str, seeds))}"),
            *(f"algorithm={algorithm}", *COMMON, *OWN[algorithm]),
            f"{first}.epochs={epochs}",
            f"paths.outputs={OUTPUTS}",
            f"paths.run=${{paths.outputs}}/{algorithm}_{epochs}_${{seed}}",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def front(algorithm: str, epochs: int, seed: int, split: str) -> np.ndarray:
    """Return errors and multiply-adds of a run's front, (k, 2), on the test or the validation images."""
    members = json.loads((OUTPUTS / f"{algorithm}_{epochs}_{seed}" / "front.json").read_text())["front"]
    found = [member["test"] if split == "test" else member.get("final", member["metrics"]) for member in members]
    return np.array([[100 - metrics["top1"], metrics["flops"]] for metrics in found])


def table(epochs: int, seeds: int) -> list[str]:
    lines = [f"supernet trained for {epochs} epochs first; hypervolume on the test images"]
    lines.append(f"{'seed':>8}" + "".join(f"{name:>10}" for name in COLORS))
    final = {
        name: np.array([hypervolume(front(name, epochs, seed, "test"), REFERENCE) for seed in range(seeds)])
        for name in COLORS
    }
    for seed in range(seeds):
        lines.append(f"{seed:>8}" + "".join(f"{values[seed]:>10.4f}" for values in final.values()))
    for what, function in (("median", np.median), ("least", np.min), ("most", np.max), ("st.dev.", np.std)):
        lines.append(f"{what:>8}" + "".join(f"{function(values):>10.4f}" for values in final.values()))
    for other in ("msunas", "random"):
        p = wilcoxon(final["nat"], final[other], alternative="greater").pvalue
        wins = int(np.sum(final["nat"] > final[other]))
        lines.append(f"nat is better than {other} in {wins} of {seeds} seeds; one-sided Wilcoxon p = {p:.4f}")
    best = {
        name: np.median([front(name, epochs, seed, "test")[:, 0].min() for seed in range(seeds)]) for name in COLORS
    }
    lines.append("median of the lowest test errors: " + ", ".join(f"{k} {v:.2f} %" for k, v in best.items()))
    return [*lines, ""]


def picture(seeds: int, path: Path) -> None:
    figure = Figure(figsize=(9.6, 7.4), dpi=144, layout="constrained")
    panels = figure.subplots(2, 2)
    for row, epochs in zip(panels, EPOCHS, strict=True):
        for name, color in COLORS.items():
            curves = []
            for seed in range(seeds):
                with (OUTPUTS / f"{name}_{epochs}_{seed}" / "metrics.csv").open() as file:
                    rows = list(csv.DictReader(file))
                curves.append([float(entry["hypervolume"]) for entry in rows])
            evaluations = [int(entry["evaluations"]) for entry in rows]
            low, median, high = np.quantile(curves, [0.25, 0.5, 0.75], axis=0)
            row[0].fill_between(evaluations, low, high, color=color, alpha=0.2, linewidth=0)
            row[0].plot(evaluations, median, color=color, label=f"{name} (median, quartiles of {seeds} seeds)")
            points = np.concatenate([front(name, epochs, seed, "test") for seed in range(seeds)])
            row[1].scatter(points[:, 1], points[:, 0], s=6, color=color, alpha=0.6, linewidth=0, label=name)
        row[0].set_title(f"supernet trained for {epochs} epochs first")
        row[0].set_xlabel("evaluations")
        row[0].set_ylabel("hypervolume (validation)")
        row[1].set_xscale("log")
        row[1].set_yscale("log")
        row[1].set_xlabel("millions of multiply-adds")
        row[1].set_ylabel("top-1 error on the test images, %")
        row[1].set_title(f"final fronts of {seeds} seeds")
        for axes in row:
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(frameon=False)
    FigureCanvasAgg(figure).print_png(str(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time")
    arguments = parser.parse_args()
    seeds = list(range(arguments.seeds))
    start = time.perf_counter()
    with ThreadPoolExecutor(arguments.jobs) as workers:
        waiting = [
            workers.submit(run, name, epochs, seeds[part :: arguments.jobs])
            for epochs in EPOCHS
            for name in COLORS
            for part in range(arguments.jobs)
            if seeds[part :: arguments.jobs]
        ]
        for job in waiting:
            job.result()
    lines = ["evaluations a run: 360", ""]
    for epochs in EPOCHS:
        lines += table(epochs, arguments.seeds)
    lines.append(f"({time.perf_counter() - start:.0f} s with {arguments.jobs} runs at a time)")
    text = "\n".join(lines)
    print(text)
    (HERE / "nat_digits.txt").write_text(text + "\n")
    picture(arguments.seeds, HERE / "nat_digits.png")


if __name__ == "__main__":
    main()
