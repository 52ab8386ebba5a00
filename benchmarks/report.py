"""`task=report` on 60 runs of 9,300 evaluations each, and its page in a browser.

    python benchmarks/report.py [--folder FOLDER] [--repeats 3]

Six groups of ten seeds with NAT's published budget (300 architectures and 30 times 300 more) on Once-for-All's
space; the errors are invented, the run folders are written by the project's own classes. What is timed, each time in a
process of its own: the command, from the first import to the last file, and its parts, by the clock and in seconds of
a core. The baseline is reading the same archives entry by entry with :class:`nas.run.archive.Archive`. Then the page is
opened in Chromium, where there is one: until its load event and two more frames. The best of the repeats counts.
Python compiles its modules once, before anything is timed. Writes ``report.txt`` beside this file.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from nas.cli.compose import experiment_of
from nas.files import write_json, write_text
from nas.objective.base import TOP1_ERROR
from nas.pareto import non_dominated
from nas.run.archive import Archive, Commit, Entry
from nas.run.folder import RunFolder
from nas.run.results import Results
from nas.types import Measure

ROOT = Path(__file__).parent.parent
HERE = Path(__file__).parent
sys.path.insert(0, str(ROOT))

from tests.browser import PROGRAM, Browser  # noqa: E402

SEEDS, INITIAL, EACH, ITERATIONS = 10, 300, 300, 30
COMMON = ["supernet=ofa_w12", "supernet.checkpoint=random", "dataset=none", "training=none", "tracker=csv"]
BUDGET = [f"algorithm.n_doe={INITIAL}", f"algorithm.n_iter={EACH}", f"algorithm.iterations={ITERATIONS}"]
GROUPS = {
    "nat": ["algorithm=nat"],
    "nat, gp": ["algorithm=nat", "surrogate=gp"],
    "nat, mlp": ["algorithm=nat", "surrogate=mlp"],
    "msunas": ["algorithm=msunas"],
    "msunas, subset": ["algorithm=msunas", "selector=subset"],
    "random": ["algorithm=random"],
}
CODE = """
import sys, time
began = time.perf_counter(), time.process_time()
from pathlib import Path
from nas.report import folder
from nas.task.report import _read, _stamp
from nas.report.data.comparison import compare_runs
from nas.report.papers.papers import papers_of
from nas.report.data.runs import find_runs
print("imports", time.perf_counter() - began[0], time.process_time() - began[1])

def timed(name, function):
    wall, core = time.perf_counter(), time.process_time()
    result = function()
    print(name, time.perf_counter() - wall, time.process_time() - core)
    return result

def named(name):
    function = getattr(folder, name)
    setattr(folder, name, lambda *a, **k: timed(name, lambda: function(*a, **k)))

for name in ("write_tables", "write_figures", "write_exhibits", "write_animation", "render_page"):
    named(name)
named("chosen_architectures")
runs, _ = timed("read", lambda: _read(tuple((place, _stamp(place)) for place in find_runs([sys.argv[1]]))))
comparisons = timed("compare", lambda: compare_runs(runs, None, None))
timed("fronts and hypervolumes", lambda: [comparison.hypervolumes for comparison in comparisons])
papers = timed("papers", lambda: papers_of(comparisons, "papers", True))
cache = Path("~/.cache/nas").expanduser()
folder.write_report(Path(sys.argv[2]), runs, comparisons, papers=papers, warnings=[], cache=cache)
"""


def settings_of(overrides: list[str]) -> dict[str, Any]:
    return dict(experiment_of([*COMMON, *overrides, *BUDGET, "paths.run=run"]).resolved)


class Runs:
    """Writes run folders whose evaluations are invented."""

    def __init__(self) -> None:
        """Build the space and its costs."""
        supernet = experiment_of([*COMMON, *BUDGET]).changed(n_classes=1000, device="cpu").supernet
        self._space, self._tables = supernet.space, supernet.costs()
        weights = np.random.default_rng(0).random(self._space.n_genes)
        self._weights = weights / (weights @ self._space.upper)

    def write(self, folder: Path, name: str, settings: dict[str, Any], seed: int) -> None:
        """Write one finished run."""
        rng = np.random.default_rng(seed)
        archive = Archive.open(
            folder / "archive.jsonl", [TOP1_ERROR, Measure("flops", "M multiply-adds")], self._space.names
        )
        genomes = self._space.canonical(self._space.sample(INITIAL, rng))
        for step in range(ITERATIONS + 1):
            if step:
                genomes = self._next(archive, name, rng)
            archive.extend(self._commit(step, name), self._entries(step, genomes, name, rng))
        results = Results(archive, folder, None)
        front = [entry.architecture.genome for entry in archive.front()]
        results.write_front(True, {}, {genome: {"top1": 76.0 + rng.random()} for genome in front})
        times = [{"fit": 1.0, "search": 9.0, "select": 0.5, "train": 600.0, "evaluate": 900.0}] * (ITERATIONS + 1)
        lines = [json.dumps({"step": step, "seconds": seconds}) + "\n" for step, seconds in enumerate(times)]
        write_text(folder / "times.jsonl", "".join(lines))
        write_text(folder / "config.yaml", yaml.safe_dump(settings | {"seed": seed}, sort_keys=False))
        write_json(folder / "run.json", {"id": f"{name}{seed}", "fingerprints": {"dataset": "none1000"}})
        RunFolder(folder).write_status("finished", step=ITERATIONS, steps=ITERATIONS + 1, error=None)

    def _next(self, archive: Archive, name: str, rng: np.random.Generator) -> np.ndarray:
        if name == "random":
            return self._space.canonical(self._space.sample(EACH, rng))
        known, values = archive.arrays()
        parents = known[non_dominated(values)]
        children = parents[rng.integers(len(parents), size=EACH)]
        rate = 0.05 if name == "msunas" else 0.1
        children = np.where(rng.random(children.shape) < rate, self._space.sample(EACH, rng), children)
        if name.startswith("nat"):  # a tenth is evaluated again, with other weights
            children[: EACH // 10] = parents[rng.integers(len(parents), size=EACH // 10)]
        return np.unique(self._space.canonical(children), axis=0)

    def _commit(self, step: int, name: str) -> Commit:
        if not step or name == "random":
            return Commit(step)
        return Commit(step, "rbf_ensemble", "rbf_ensemble", 0.5, 0.9, 0.8)

    def _entries(self, step: int, genomes: np.ndarray, name: str, rng: np.random.Generator) -> list[Entry]:
        share = genomes @ self._weights
        errors = 21.0 + 12.0 * (1 - share) ** 2 + rng.normal(0.0, 0.3, len(genomes))
        predicted = errors + rng.normal(0.0, 0.5, len(genomes))
        macs, params = (self._tables[cost](genomes) / 1e6 for cost in ("macs", "params"))
        digest = f"{step if name.startswith('nat') else 0:064x}"
        entries = []
        for i, genome in enumerate(genomes):
            metrics = {"top1": 100 - errors[i], "top5": 94.0, "loss": 1.0, "flops": macs[i], "params": params[i]}
            prediction = float(predicted[i]) if step and name != "random" else None
            values = (float(errors[i]), float(macs[i]))
            architecture = self._space.decode(genome)
            metrics = {key: float(value) for key, value in metrics.items()}
            entries.append(Entry(step, i, architecture, values, metrics, prediction, digest))
        return entries


Times = tuple[float, float]
"""Seconds by the clock, and of a core."""


def spent(words: list[str]) -> tuple[Times, str]:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True, cwd=ROOT)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return (wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime), process.stdout


def command(folder: Path, out: Path) -> Times:
    return spent(["launch.py", "task=report", f"runs=[{folder}]", f"path={out}"])[0]


def parts(folder: Path, out: Path) -> dict[str, Times]:
    rows = [line.rsplit(" ", 2) for line in spent(["-c", CODE, str(folder), str(out)])[1].splitlines()]
    return {name: (float(wall), float(core)) for name, wall, core in rows}


def entry_by_entry(folder: Path) -> Times:
    wall, core = time.perf_counter(), time.process_time()
    for path in sorted(folder.rglob("archive.jsonl")):
        with path.open() as file:
            header = json.loads(file.readline())
        Archive.open(path, [Measure(*pair) for pair in header["objectives"]], header["genes"])
    return time.perf_counter() - wall, time.process_time() - core


def opened(page: Path, repeats: int, **look: Any) -> list[float]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, Browser(Path(profile)) as browser:
        times = [browser.open(page, **look) for _ in range(repeats)]
        assert browser.errors == [], browser.errors
        return times


def made(folder: Path) -> None:
    writer = Runs()
    for name, overrides in GROUPS.items():
        settings = settings_of(overrides)
        for seed in range(SEEDS):
            place = folder / name.replace(", ", "_") / f"seed_{seed}"
            if not (place / "status.json").exists():
                writer.write(place, name, settings, seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the run folders are kept; none: a temporary folder")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as temporary:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(Path(temporary) / "compiled")
        folder = arguments.folder or Path(temporary) / "runs"
        out = Path(temporary) / "report"
        made(folder)
        print(report(folder, out, arguments.repeats))


def report(folder: Path, out: Path, repeats: int) -> str:
    size = sum(path.stat().st_size for path in folder.rglob("archive.jsonl")) / 2**20
    command(folder, out)  # compiles
    whole = [command(folder, out) for _ in range(repeats)]
    split = [parts(folder, out) for _ in range(repeats)]
    slow = [entry_by_entry(folder) for _ in range(repeats)]
    page = out / "index.html"
    best = {name: _best([found[name] for found in split]) for name in split[0]}
    lines = [
        f"{len(GROUPS) * SEEDS} runs of {INITIAL + ITERATIONS * EACH:,} evaluations at most, archives {size:.0f} MiB",
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"best of {repeats}",
        "",
        f"{'':42s} {'by the clock':>14s} {'of a core':>14s}",
        _line("launch.py task=report, everything", _best(whole)),
        "of which, in a process without the command line:",
        *(_line(f"  {name}", times) for name, times in best.items()),
        "",
        _line("archives as arrays, with four threads", best["read"]),
        _line("archives entry by entry (baseline)", _best(slow)),
        f"{'baseline, times':42s} {_best(slow)[0] / best['read'][0]:14.1f} {_best(slow)[1] / best['read'][1]:14.1f}",
        "",
        f"{'index.html':42s} {page.stat().st_size / 2**20:12.2f} MiB",
    ]
    if PROGRAM is not None:
        for name, look in (("1280 x 900", {"width": 1280, "height": 900}),
                           ("390 x 844, phone", {"width": 390, "height": 844, "mobile": True})):  # fmt: skip
            times = opened(page, repeats, **look)
            shown = ", ".join(f"{seconds:.2f}" for seconds in times)
            lines.append(f"{'page opened in Chromium, ' + name:42s} {min(times):12.2f} s   (all: {shown})")
    text = "\n".join(lines) + "\n"
    (HERE / "report.txt").write_text(text)
    return text


def _best(times: list[Times]) -> Times:
    return min(wall for wall, _ in times), min(core for _, core in times)


def _line(name: str, times: Times) -> str:
    return f"{name:42s} {times[0]:12.2f} s {times[1]:12.2f} s"


if __name__ == "__main__":
    main()
