"""Quality of search methods on OFA's accuracy predictor: 340 evaluations, ten seeds.

    python benchmarks/search_quality.py [--predictor FILE] [--workers 2]

Networks are Once-for-All's MobileNetV3 at width 1.2 and resolutions 160 to 224, errors are those of the published
predictor, budgets 100 + 30 x 8. The hypervolume of (top-1 error in percent, FLOPs in millions) is a share of the box
from (15, 100) to (35, 600). One part of the paper's setting (rbf, nsga2, subset) is exchanged at a time; then come
the default of ``algorithm=msunas`` (additive_gp, ehvi, ehvi) and, before it, the same with an optimizer and a selector
that do not look at the uncertainty of predictions (nsga2, hvi), which was the default once.
Runs that are finished are kept in ``outputs/benchmark_search_quality``. Writes ``search_quality.txt`` and
``search_quality.png`` beside this file.

Known on the same problem: random search with 350 evaluations 0.723 (7 seeds); the original MSuNAS with rbf 0.823
(0.817 to 0.835), its best accuracies up to 200, 300, 400, 500 M 79.10, 81.74, 82.88, 83.75; OFA's EvolutionFinder with
50,100 predictor calls for each constraint 80.04, 82.37, 83.28, 84.18; near the optimum (300,000 calls) 0.869.
"""

import argparse
import json
import platform
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.stats import kendalltau, wilcoxon
from study import LIMITS, Study
from threadpoolctl import threadpool_limits

from nas.files import write_json

HERE = Path(__file__).parent
OUTPUTS = HERE.parent / "outputs" / "benchmark_search_quality"
PAPER = "experiment=msunas_paper"
OTHERS = ("surrogate=rbf", "selector=subset")
"""Of the paper's parts, all but the optimizer."""

VARIANTS = {
    "random": ("random", ()),
    "paper": ("msunas", (PAPER,)),
    **{
        f"surrogate={name}": ("msunas", (PAPER, f"surrogate={name}"))
        for name in ("rbf_ensemble", "gp", "additive_gp", "mlp", "cart", "adaptive")
    },
    "optimizer=nsga2, 100 x 50": ("msunas", (PAPER, "optimizer.population=100", "optimizer.generations=50")),
    "optimizer=nsga3": ("msunas", (*OTHERS, "optimizer=nsga3", "optimizer.generations=8")),
    "optimizer=mo_gomea": (
        "msunas",
        (*OTHERS, "optimizer=mo_gomea", "optimizer.evaluations=800", "optimizer.population=8"),
    ),
    "optimizer=random": ("msunas", (*OTHERS, "optimizer=random", "optimizer.evaluations=800")),
    "selector=reference": ("msunas", (PAPER, "selector=reference")),
    "selector=hvi": ("msunas", (PAPER, "selector=hvi")),
    "without uncertainty": ("msunas", ("optimizer=nsga2", "selector=hvi")),
    "default": ("msunas", ()),
}
"""What is compared: an algorithm, and what differs from its defaults."""


@dataclass(frozen=True)
class Outcome:
    """One run.

    Attributes:
        evaluations, hypervolumes: after each step.
        best: accuracies up to each of ``LIMITS``.
        tau: mean of the steps' rank correlations of predictions and evaluations; ``None`` without predictions.
        seconds: of proposing, a step.
    """

    evaluations: list[int]
    hypervolumes: list[float]
    best: list[float]
    tau: float | None
    seconds: float


@cache
def study(predictor: Path | None) -> Study:
    torch.set_num_threads(1)
    return Study(predictor)


def path_of(variant: str, seed: int) -> Path:
    return OUTPUTS / f"{''.join(letter if letter.isalnum() else '_' for letter in variant)}_{seed}.json"


def run(variant: str, seed: int, predictor: Path | None) -> None:
    path = path_of(variant, seed)
    if path.exists():
        return
    with threadpool_limits(1):
        name, overrides = VARIANTS[variant]
        trace = study(predictor).run(study(predictor).algorithm(name, *overrides), seed)
    taus = [kendalltau(*pair).statistic for pair in trace.predicted]
    write_json(
        path,
        {
            "evaluations": trace.evaluations,
            "hypervolumes": trace.hypervolumes,
            "best": trace.best(),
            "tau": float(np.nanmean(taus)) if taus else None,
            "seconds": trace.seconds / len(trace.evaluations),
        },
    )


def outcome(variant: str, seed: int) -> Outcome:
    return Outcome(**json.loads(path_of(variant, seed).read_text()))


def table(found: dict[str, list[Outcome]]) -> list[str]:
    limits = "".join(f"{f'{limit} M':>8}" for limit in LIMITS)
    lines = [f"{'':>26}{'n':>4}{'hypervolume':>16}{'least':>8}{'most':>8}{'p':>8}{limits}{'tau':>7}{'s/step':>8}"]
    paper = np.array([one.hypervolumes[-1] for one in found["paper"]])
    for variant, outcomes in found.items():
        final = np.array([one.hypervolumes[-1] for one in outcomes])
        same = paper[: len(final)]
        differs = len(final) <= len(paper) and bool(np.any(final != same))
        p = f"{wilcoxon(final, same, alternative='greater').pvalue:.4f}" if differs else ""
        best = "".join(f"{value:>8.2f}" for value in np.mean([one.best for one in outcomes], axis=0))
        taus = [one.tau for one in outcomes if one.tau is not None]
        tau = f"{np.mean(taus):.3f}" if taus else ""
        lines.append(
            f"{variant:>26}{len(final):>4}{final.mean():>8.4f} ±{final.std():.4f}"
            f"{final.min():>8.4f}{final.max():>8.4f}{p:>8}{best}{tau:>7}"
            f"{np.median([one.seconds for one in outcomes]):>8.2f}"
        )
    return lines


def picture(found: dict[str, list[Outcome]], path: Path) -> None:
    groups = ("surrogate", "optimizer", "selector")
    figure = Figure(figsize=(12.6, 4.4), dpi=144, layout="constrained")
    colours = ("#c8501e", "#2b6ca3", "#4c9a52", "#8a5aa8", "#c9a227", "#5f6b73")
    for axes, group in zip(figure.subplots(1, 3, sharey=True), groups, strict=True):
        chosen = [name for name in found if name.startswith(group)]
        styles = {"random": ("#9a9a9a", "--"), "paper": ("#1a1a1a", "-"), "default": ("#d62f5f", "-")}
        styles["without uncertainty"] = ("#d62f5f", ":")
        styles = {name: style for name, style in styles.items() if name in found}
        styles |= {name: (colour, "-") for name, colour in zip(chosen, colours, strict=False)}
        for name, (colour, line) in styles.items():
            median = np.median([one.hypervolumes for one in found[name]], axis=0)
            label = name.removeprefix(f"{group}=")
            axes.plot(found[name][0].evaluations, median, line, color=colour, linewidth=1.3, label=label)
        axes.set_title(group, loc="left", fontsize="medium")
        axes.set_xlabel("evaluations")
        axes.set_ylim(0.72, 0.86)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize="x-small", loc="lower right", ncols=2)
        axes.grid(color="#eeeeee")
    figure.axes[0].set_ylabel("hypervolume, median of seeds")
    FigureCanvasAgg(figure).print_png(str(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictor", type=Path, help="file of OFA's accuracy predictor; default: the published one")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=1, help="runs at the same time")
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), help="run these, and report all that is there")
    arguments = parser.parse_args()
    chosen = arguments.only or list(VARIANTS)
    with ProcessPoolExecutor(arguments.workers) as pool:
        jobs = [
            pool.submit(run, variant, seed, arguments.predictor)
            for seed, variant in product(range(arguments.seeds), chosen)
        ]
        for job in jobs:
            job.result()
    found = {
        variant: [outcome(variant, seed) for seed in range(arguments.seeds) if path_of(variant, seed).exists()]
        for variant in VARIANTS
        if path_of(variant, 0).exists()
    }
    lines = [
        f"budget {found['paper'][0].evaluations[-1]}; mean ± standard deviation of the final hypervolumes of n seeds;",
        "p: one-sided Wilcoxon, better than the paper's setting; best accuracies, percent, up to 200 to 500 M",
        "multiply-adds; tau of the predictions of new candidates; seconds of searching, a step",
        *table(found),
        f"(torch {torch.__version__}, Python {platform.python_version()}, one thread)",
    ]
    text = "\n".join(lines)
    print(text)
    (HERE / "search_quality.txt").write_text(text + "\n")
    picture(found, HERE / "search_quality.png")


if __name__ == "__main__":
    main()
