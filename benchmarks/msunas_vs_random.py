"""MSuNAS against random search on digits: final hypervolume at the same number of evaluations, seed by seed.

    python benchmarks/msunas_vs_random.py            ten seeds, the parts of NSGANetV2's code

Both begin with the same initial design, and their hypervolumes are shares of one box. The runs are those of
``sweeps/digits_msunas_random.yaml``, in ``outputs/benchmark_msunas_vs_random``; what is finished there is not run
again. Writes ``msunas_vs_random.txt`` and ``msunas_vs_random.png`` beside this file.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.stats import wilcoxon

HERE = Path(__file__).parent
OUTPUTS = HERE.parent / "outputs" / "benchmark_msunas_vs_random"
COLORS = {"msunas": "#c8501e", "random": "#2b6ca3"}


def run(seeds: int, overrides: list[str]) -> None:
    subprocess.run(
        [
            sys.executable,
            str(HERE.parent / "launch.py"),
            *("-cd", str(HERE.parent / "sweeps"), "-cn", "digits_msunas_random", "-m"),
            f"seed=range({seeds})",
            "tracker=csv",
            *("surrogate=rbf", "selector=subset", "optimizer.population=40", "optimizer.generations=20"),
            f"paths.outputs={OUTPUTS}",
            "paths.run=${paths.outputs}/${hydra:runtime.choices.algorithm}_${seed}",
            *overrides,
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def curve(algorithm: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers of evaluations and the hypervolumes after them, each of shape (steps,)."""
    with (OUTPUTS / f"{algorithm}_{seed}" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    return np.array([int(r["evaluations"]) for r in rows]), np.array([float(r["hypervolume"]) for r in rows])


def table(curves: dict[str, list[tuple[np.ndarray, np.ndarray]]]) -> str:
    final = {name: np.array([hypervolume[-1] for _, hypervolume in runs]) for name, runs in curves.items()}
    ours, baseline = final["msunas"], final["random"]
    lines = [f"evaluations a run: {curves['msunas'][0][0][-1]} and {curves['random'][0][0][-1]}", ""]
    lines += [f"{'seed':>6}{'msunas':>10}{'random':>10}{'ratio':>8}"]
    for seed, (a, b) in enumerate(zip(ours, baseline, strict=True)):
        lines.append(f"{seed:>6}{a:>10.4f}{b:>10.4f}{a / b:>8.3f}")
    lines.append(f"{'median':>6}{np.median(ours):>10.4f}{np.median(baseline):>10.4f}")
    p = wilcoxon(ours, baseline, alternative="greater").pvalue
    lines += ["", f"msunas is better in {np.sum(ours > baseline)} of {len(ours)} seeds; one-sided Wilcoxon p = {p:.4f}"]
    overtaken = [
        int(evaluations[np.argmax(hypervolume >= other[-1])]) if hypervolume[-1] >= other[-1] else None
        for (evaluations, hypervolume), (_, other) in zip(curves["msunas"], curves["random"], strict=True)
    ]
    lines.append(f"evaluations until msunas reaches random's final hypervolume, by seed: {overtaken}")
    return "\n".join(lines)


def picture(curves: dict[str, list[tuple[np.ndarray, np.ndarray]]], path: Path) -> None:
    figure = Figure(figsize=(6.4, 4.2), dpi=144, layout="constrained")
    axes = figure.add_subplot()
    for name, runs in curves.items():
        values = np.array([hypervolume for _, hypervolume in runs])
        low, median, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
        axes.fill_between(runs[0][0], low, high, color=COLORS[name], alpha=0.2, linewidth=0)
        axes.plot(runs[0][0], median, color=COLORS[name], label=f"{name} (median, quartiles of {len(runs)} seeds)")
    axes.set_xlabel("evaluations")
    axes.set_ylabel("hypervolume")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    FigureCanvasAgg(figure).print_png(str(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("overrides", nargs="*", help="settings for launch.py, for example algorithm.iterations=10")
    arguments = parser.parse_args()
    run(arguments.seeds, arguments.overrides)
    curves = {name: [curve(name, seed) for seed in range(arguments.seeds)] for name in COLORS}
    facts = json.loads((OUTPUTS / "msunas_0" / "run.json").read_text())["starts"][0]
    text = f"{table(curves)}\n(torch {facts['packages']['torch']}, Python {facts['python']})"
    print(text)
    (HERE / "msunas_vs_random.txt").write_text(text + "\n")
    picture(curves, HERE / "msunas_vs_random.png")


if __name__ == "__main__":
    main()
