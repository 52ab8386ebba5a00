"""ENCAS on digits, seed by seed, against the best single front, GreedyCascade, random search and ensembles.

    python benchmarks/encas_digits.py

Two supernets of different kinds are trained once each: the default one, and one of ReLUs without squeeze-and-excitation
that has other widths and strides. For each of ten seeds both are searched by MSuNAS, with 92 evaluations, so that the
benchmark takes minutes; the networks on the two fronts are that seed's pool, and all methods search it with the same
seed. Fronts are chosen on the validation images; compared is their hypervolume on the test images. The best single
front is that of the supernet that is better on the test images. The runs are in ``outputs/benchmark_encas_digits``;
what is finished there is not run again. Writes ``encas_digits.txt`` and ``encas_digits.png`` beside this file.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.stats import wilcoxon

from nas.pareto import hypervolume

HERE = Path(__file__).parent
OUTPUTS = HERE.parent / "outputs" / "benchmark_encas_digits"
SUPERNETS = {
    "first": (),
    "second": (
        *("supernet.stage_widths=[12,16,20]", "supernet.strides=[2,1,1]", "supernet.seed=1"),
        *("supernet.hard_swish=[false,false,false]", "supernet.squeeze_excite=[false,false,false]"),
    ),
}
SEARCH = (
    *("experiment=msunas_paper", "algorithm.n_doe=60", "algorithm.iterations=4", "training.epochs=30"),
    "evaluator.recalibration_images=256",
)
EVALUATIONS = 50_000
METHODS = {
    "encas": ("algorithm=encas", f"optimizer.evaluations={EVALUATIONS}"),
    "ensembles": ("algorithm=encas", f"optimizer.evaluations={EVALUATIONS}", "space.search_goal=ensemble"),
    "random": ("algorithm=encas", "optimizer=random", f"optimizer.evaluations={EVALUATIONS}"),
    "greedy": ("algorithm=greedy",),
}
WORST_ERROR = 10.0
"""Of the hypervolume's reference point, in percent; the other value is the costliest network's multiply-adds."""

COLORS = {"encas": "#c8501e", "ensembles": "#7a5195", "random": "#8a8a8a", "greedy": "#3a7d44", "single": "#2b6ca3"}


def run(name: str, seeds: int, words: tuple[str, ...]) -> None:
    """Run all seeds of one kind in one process."""
    fixed = ("tracker=csv", "device=cpu", f"paths.outputs={OUTPUTS}", f"paths.cache={OUTPUTS / 'cache'}")
    command = [sys.executable, str(HERE.parent / "launch.py"), "-m", f"seed=range({seeds})", *fixed, *words]
    place = f"paths.run=${{paths.outputs}}/{name}_${{seed}}"
    subprocess.run([*command, place], check=True, stdout=subprocess.DEVNULL)


def search(seeds: int) -> None:
    """Make all runs."""
    for name, words in SUPERNETS.items():
        run(name, seeds, (*SEARCH, *words))
    runs = ",".join(f"${{paths.outputs}}/{name}_${{seed}}" for name in SUPERNETS)
    for name, words in METHODS.items():
        run(name, seeds, ("pool=runs", f"pool.runs=[{runs}]", "dataset=none", *words))


def points(name: str, seed: int) -> dict[str, np.ndarray]:
    """Return error in percent and multiply-adds in millions of a run's front by split, (n, 2) each."""
    front = json.loads((OUTPUTS / f"{name}_{seed}" / "front.json").read_text())["front"]
    return {
        split: np.array([[100 - member[key]["top1"], member[key]["flops"]] for member in front])
        for split, key in (("validation", "metrics"), ("test", "test"))
    }


def volumes(seed: int) -> dict[str, dict[str, float]]:
    """Return normalised hypervolumes by split and method; of the supernets, the one that is better on the split."""
    found = {name: points(name, seed) for name in (*SUPERNETS, *METHODS)}
    most = max(found[name]["test"][:, 1].max() for name in SUPERNETS)
    reference = np.array([WORST_ERROR, 1.01 * most])
    result: dict[str, dict[str, float]] = {}
    for split in ("validation", "test"):
        each = {name: hypervolume(found[name][split], reference) for name in found}
        result[split] = {"single": max(each[name] for name in SUPERNETS)} | {name: each[name] for name in METHODS}
    return result


def table(found: list[dict[str, dict[str, float]]]) -> list[str]:
    """Return a table for each split, with medians, spread and tests."""
    lines = []
    for split in ("test", "validation"):
        names = list(found[0][split])
        values = {name: np.array([each[split][name] for each in found]) for name in names}
        lines += ["", f"hypervolume on the {split} images", f"{'seed':>8}" + "".join(f"{name:>11}" for name in names)]
        lines += [
            f"{seed:>8}" + "".join(f"{values[name][seed]:>11.4f}" for name in names) for seed in range(len(found))
        ]
        for title, statistic in (
            ("median", np.median),
            ("least", np.min),
            ("most", np.max),
            ("st.dev.", lambda each: np.std(each, ddof=1)),
        ):
            lines.append(f"{title:>8}" + "".join(f"{statistic(values[name]):>11.4f}" for name in names))
        for name in names:
            if name != "encas":
                p = wilcoxon(values["encas"], values[name], alternative="greater").pvalue
                wins = int((values["encas"] > values[name]).sum())
                lines.append(
                    f"encas is better than {name} in {wins} of {len(found)} seeds; one-sided Wilcoxon p = {p:.4f}"
                )
    return lines


def picture(found: list[dict[str, dict[str, float]]], path: Path) -> None:
    """Draw the hypervolumes of all seeds on the left, the fronts of seed 0 on the test images on the right."""
    figure = Figure(figsize=(9.6, 4.2), dpi=144, layout="constrained")
    left, right = figure.subplots(1, 2)
    names = list(found[0]["test"])
    for place, name in enumerate(names):
        values = [each["test"][name] for each in found]
        left.plot([place] * len(values), values, "o", color=COLORS[name], alpha=0.5)
        left.plot([place - 0.25, place + 0.25], [np.median(values)] * 2, color=COLORS[name], linewidth=2)
    left.set_xticks(range(len(names)), names)
    left.set_ylabel("hypervolume on the test images; bars: medians")
    for name in (*SUPERNETS, *METHODS):
        test = points(name, 0)["test"]
        test = test[np.argsort(test[:, 1])]
        color = COLORS["single"] if name in SUPERNETS else COLORS[name]
        label = f"{name} supernet" if name in SUPERNETS else name
        style = ".--" if name == "second" else ".-"
        right.plot(test[:, 1], test[:, 0], style, color=color, markersize=4, linewidth=0.8, label=label)
    right.set_ylim(0, WORST_ERROR)
    right.set_xscale("log")
    right.set_xticks((0.02, 0.05, 0.1, 0.2, 0.5), ("0.02", "0.05", "0.1", "0.2", "0.5"))
    right.set_xticks((), minor=True)
    right.set_xlim(left=0.02)  # cheaper ones have higher errors
    right.set_xlabel("MFLOPs of an image on average")
    right.set_ylabel("top-1 error on the test images in percent, seed 0")
    right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    FigureCanvasAgg(figure).print_png(str(path))


def main() -> None:
    """Run what is missing, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    search(arguments.seeds)
    found = [volumes(seed) for seed in range(arguments.seeds)]
    sizes = [sum(len(points(name, seed)["test"]) for name in SUPERNETS) for seed in range(arguments.seeds)]
    facts = json.loads((OUTPUTS / "encas_0" / "run.json").read_text())["starts"][0]
    lines = [
        f"pools of {min(sizes)} to {max(sizes)} networks; encas, ensembles and random: {EVALUATIONS:,} evaluations",
        f"reference point: {WORST_ERROR:g} % error, the costliest network's multiply-adds",
        *table(found),
        f"(torch {facts['packages']['torch']}, Python {facts['python']})",
    ]
    print("\n".join(lines))
    (HERE / "encas_digits.txt").write_text("\n".join(lines) + "\n")
    picture(found, HERE / "encas_digits.png")


if __name__ == "__main__":
    main()
