"""Small run folders with invented evaluations, written by the project's own classes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nas.files import write_json, write_text
from nas.report.data.runs import Run, read_run
from nas.run.archive import Archive, Commit, Entry
from nas.run.folder import RunFolder
from nas.run.results import Results
from nas.types import Architecture, Measure

MEASURES = (Measure("top1_error", "%"), Measure("flops", "M multiply-adds"), Measure("params", "M"))
GENES = ("depth", "kernel", "width")
SETTINGS: dict[str, Any] = {
    "task": {"_target_": "nas.task.search.SearchTask"},
    "dataset": {"_target_": "nas.dataset.digits.Digits"},
    "algorithm": {"_target_": "nas.algorithm.msunas.MSuNAS", "n_doe": 12, "n_iter": 4, "iterations": 3},
    "surrogate": {"_target_": "nas.surrogate.rbf.RBF"},
    "tracker": {"_target_": "nas.tracker.csv.CsvTracker"},
    "paths": {"run": "somewhere"},
    "reference_point": None,
    "ideal_point": None,
}
RANDOM = SETTINGS | {
    "algorithm": {"_target_": "nas.algorithm.random.RandomSearch", "n_doe": 12, "n_iter": 4, "iterations": 3}
}


def write_run(
    folder: Path,
    *,
    seed: int = 0,
    settings: Mapping[str, Any] = SETTINGS,
    objectives: int = 2,
    steps: int = 4,
    state: str = "finished",
    shift: float = 0.0,
    again: bool = False,
    failing: bool = False,
    config: Mapping[str, Any] | None = None,
    noise: int | None = None,
) -> Path:
    """Write a run.

    Args:
        folder: where.
        seed: of the invented numbers too.
        settings: all others.
        objectives: 2 or 3.
        steps: the initial design is one of them.
        state: of ``status.json``.
        shift: is added to all errors.
        again: whether each step evaluates an architecture of the step before again, with other weights.
        failing: whether one evaluation of each later step fails.
        config: of all architectures; ``None`` for one that tells the genome.
        noise: seed of the invented numbers, which the test split then has too; ``None`` for ``seed``.
    """
    rng = np.random.default_rng(seed if noise is None else noise)
    archive = Archive.open(folder / "archive.jsonl", MEASURES[:objectives], GENES)
    last: tuple[int, ...] = ()
    for step in range(steps):
        genomes = [tuple(int(v) for v in rng.integers(0, (4, 3, 60))) for _ in range(12 if step == 0 else 4)]
        genomes = list(dict.fromkeys(genomes))
        if again and step:
            genomes[0] = last
        last = genomes[-1]
        entries = []
        for i, genome in enumerate(genomes):
            error = 5 + shift + 20 / (1 + sum(genome)) + rng.random()
            values = (error, 1.0 + sum(genome), 0.5 + genome[2] / 10)[:objectives]
            fails = failing and step > 0 and i == 1
            entries.append(
                Entry(
                    step,
                    i,
                    Architecture(genome, config or {"genome": list(genome)}),
                    None if fails else values,
                    {} if fails else {"top1": 100 - error},
                    error + rng.normal() if step else None,
                    f"{step if again else 0:064x}",
                )
            )
            if fails:
                write_text(folder / "failed" / f"it_{step}_net_{i}.traceback", "Traceback\nMemoryError: no room\n")
        archive.extend(Commit(step, "rbf" if step else None), entries)
    results = Results(archive, folder, None)
    for step in range(steps):
        results.record_seconds(step, {"fit": 1.0, "evaluate": 3.0})
    test = {
        entry.architecture.genome: {"top1": 90.0 - entry.step if noise is None else entry.metrics["top1"] - 0.5}
        for entry in archive.front()
    }
    results.write_front(state == "finished", {}, test if state == "finished" else {})
    write_text(folder / "config.yaml", yaml.safe_dump({**settings, "seed": seed}))
    write_json(folder / "run.json", {"id": "x", "fingerprints": {"dataset": "d"}})
    RunFolder(folder).write_status(state, error="RunError: <b>out</b> of luck" if state == "failed" else None)
    return folder


def made_run(folder: Path, **changes: Any) -> Run:
    """Write a run and read it."""
    return read_run(f"{folder.parent.name}/{folder.name}", write_run(folder, **changes))


def covers_no_axes(figure: Figure) -> bool:
    """Whether a figure has a legend, and each legend is beside what is drawn."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    boxes = [legend.get_window_extent(canvas.get_renderer()) for legend in legends]
    return bool(boxes) and not any(box.overlaps(axes.bbox) for box in boxes for axes in figure.axes)


def whole_archive(folder: Path) -> Archive:
    """Open a run's archive as the search does."""
    header = json.loads((folder / "archive.jsonl").read_text().splitlines()[0])
    return Archive.open(folder / "archive.jsonl", [Measure(*pair) for pair in header["objectives"]], header["genes"])
