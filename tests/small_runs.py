"""Small runs of the command line in this process: a supernet of digits, and cascades of its front."""

import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from nas.cli import main as cli

CONF = Path(__file__).parent.parent / "conf"
SMALL = (
    "tracker=csv",
    "paths.cache=cache",
    "device=cpu",
    "training.epochs=2",
    "training.warmup_epochs=1",
    "supernet.depths=[1,2]",
    "supernet.widths=[0.5,1.0]",
    "supernet.kernel_sizes=[3]",
    "dataset.resolutions=[8]",
    "algorithm.n_doe=20",
    "algorithm.iterations=0",
    "evaluator.recalibration_images=64",
)
"""A search on its own supernet."""

CASCADES = ("pool=runs", "dataset=none", "tracker=csv", "device=cpu", "paths.cache=cache")
"""A search of cascades of the networks of runs."""

POOL = (*CASCADES, "pool.runs=[alone]")
"""A search of cascades of the run ``alone``."""

JOINT = (
    *("algorithm=encas_joint", "supernet=[tiny,tiny_wide]", "tracker=csv", "device=cpu", "paths.cache=cache"),
    *("dataset.resolutions=[8]", "algorithm.n_doe=10", "algorithm.n_iter=8", "algorithm.iterations=2"),
    *("training.member.epochs=2", "training.member.averaged_iterations=2", "training.member.initial.epochs=1"),
    *("training.member.initial.warmup_epochs=0", "evaluator.networks.recalibration_images=64"),
    *(f"surrogate.{part}.members=20" for part in ("member", "combining", "cost")),
    "optimizer.evaluations=200",
)
"""A search over two supernets that adapt."""


def exit_code(folder: Path, *words: str) -> int:
    """Run ``launch.py`` in a folder, in this process."""
    with pytest.MonkeyPatch.context() as patch, own_logging(), pytest.raises(SystemExit) as stop:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["launch.py", *words])
        cli.main(CONF)
    return int(stop.value.code or 0)


@contextmanager
def own_logging() -> Iterator[None]:
    """Undo what a run changes in the root logger, and close its log file."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers.copy()
    try:
        yield
    finally:
        for handler in set(root.handlers) - set(handlers):
            handler.close()
        root.setLevel(level)
        root.handlers[:] = handlers


def launched(folder: Path, *words: str) -> None:
    """Run ``launch.py`` in a folder; it must succeed."""
    assert exit_code(folder, *words) == 0


def small_run(folder: Path, name: str, *words: str) -> Path:
    """Make a finished run of ``SMALL`` and return its folder."""
    launched(folder, *SMALL, f"paths.run={name}", *words)
    return folder / name


def shared_runs(folder: Path) -> Path:
    """Return ``runs`` in a folder: ``alone``; ``encas``, ``ensemble`` and ``greedy`` of its front; and their cache."""

    def make(made: Path) -> None:
        small_run(made, "alone", "algorithm.iterations=1", "algorithm.n_iter=4")
        encas = ("algorithm=encas", "optimizer.evaluations=2000")
        launched(made, *POOL, *encas, "paths.run=encas")
        launched(made, *POOL, *encas, "space.search_goal=ensemble", "paths.run=ensemble")
        launched(made, *POOL, "algorithm=greedy", "paths.run=greedy")

    return _made_once(folder / "runs", make)


def shared_joint_runs(folder: Path) -> Path:
    """Return ``joint_runs`` in a folder: ``joint``, of two supernets; ``encas`` of their fronts; and their cache."""

    def make(made: Path) -> None:
        launched(made, *JOINT, "paths.run=joint/seed_0", "sec_obj=[flops,params]")
        words = ("algorithm=encas", "optimizer.evaluations=500", "pool.runs=[joint/seed_0]", "paths.run=encas")
        launched(made, *CASCADES, *words)

    return _made_once(folder / "joint_runs", make)


def _made_once(runs: Path, make: Callable[[Path], None]) -> Path:
    """Return a folder that is made where it is absent, by one of the processes that ask for it."""
    with FileLock(runs.with_suffix(".lock")):
        if not runs.exists():
            made = runs.with_name(f"{runs.name}_in_the_making")
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
            make(made)
            made.rename(runs)
    return runs
