"""The command line in this process, and parts on a tabular problem (``tests/tabular.py``)."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.algorithm.base import Algorithm
from nas.algorithm.msunas import MSuNAS
from nas.algorithm.nat import NAT
from nas.algorithm.random import RandomSearch
from nas.evaluator.base import Evaluator
from nas.executor.serial import Serial
from nas.loop import Search
from nas.objective.base import TOP1_ERROR
from nas.objective.cost import TableCost
from nas.optimizer.nsga2 import NSGA2
from nas.optimizer.nsga3 import NSGA3
from nas.run.archive import Archive
from nas.run.folder import RunFolder
from nas.run.results import Results
from nas.selector.reference import Reference
from nas.selector.subset import Subset
from nas.space.base import SearchSpace
from nas.space.ofa import OfaSpace
from nas.space.table import AdditiveTable
from nas.supernet.none import NoSupernet
from nas.surrogate.rbf import RBF
from nas.tracker.together import Together
from nas.training.base import Training
from nas.training.none import NoTraining
from tests.small_runs import exit_code, shared_joint_runs, shared_runs
from tests.tabular import Tabular


@pytest.fixture(autouse=True)
def no_fsync(monkeypatch):
    """Tests kill processes, not machines: what is written need not reach the disk."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def launch(monkeypatch, capsys, tmp_path):
    """Run ``launch.py`` with arguments; return exit code, standard output and standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)  # for the rest of the test, too
        code = exit_code(tmp_path, *arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def space() -> OfaSpace:
    return OfaSpace(
        n_stages=2,
        depths=(1, 2),
        kernel_sizes=(3, 5),
        expand_ratios=(2, 3, 4),
        resolutions=(8, 12),
        widths=(0.5, 1.0),
    )


@pytest.fixture
def tables(space: OfaSpace) -> dict[str, AdditiveTable]:
    terms = [((gene,), (np.arange(space.upper[gene] + 1) + 1) * 1000 * (gene + 1)) for gene in range(space.n_genes)]
    table = AdditiveTable(space.n_genes, terms)
    return {"macs": table, "params": table}


@pytest.fixture
def make_algorithm(space: OfaSpace, tables: dict[str, AdditiveTable]) -> Callable[..., Algorithm]:
    """Build an algorithm by name on the tabular problem."""

    whole = space

    def make(
        name: str,
        n_doe: int = 16,
        n_iter: int = 4,
        iterations: int = 3,
        space: SearchSpace = whole,
        **others: Any,
    ) -> Algorithm:
        budget: dict[str, Any] = {"n_doe": n_doe, "n_iter": n_iter, "iterations": iterations}
        if name == "random":
            return RandomSearch(space=space, **budget)
        parts: dict[str, Any] = {"objectives": [TableCost(cost="flops", tables=tables)], "surrogate": RBF()}
        if name.startswith("nat"):
            parts["optimizer"] = NSGA3(
                population=12,
                generations=5,
                directions=12,
                crossover_probability=0.9,
                mutation_probability=0.1,
                mutation_eta=1.0,
            )
            parts |= {"selector": Reference(directions=12), "reevaluate": name == "nat_adapting", "fit_on": None}
            return NAT(space=space, **(parts | budget | others))
        parts["optimizer"] = NSGA2(population=12, generations=5, crossover_probability=0.9, mutation_eta=1.0)
        parts["selector"] = Subset()
        return MSuNAS(space=space, **(parts | budget | others))

    return make


@pytest.fixture
def make_search(
    space: OfaSpace, tables: dict[str, AdditiveTable], make_algorithm: Callable[..., Algorithm]
) -> Callable[..., tuple[Search, Archive]]:
    """Build a search on the tabular problem in a folder; what the folder holds already is gone on with."""
    whole = space

    def make(
        folder: Path,
        name: str = "msunas",
        evaluator: Evaluator | None = None,
        seed: int = 0,
        space: SearchSpace = whole,
        training: Training | None = None,
        **budget: Any,
    ) -> tuple[Search, Archive]:
        objective = TableCost(cost="flops", tables=tables)
        archive = Archive.resume(folder / "archive.jsonl", [TOP1_ERROR, objective.measure], space.names)
        search = Search(
            folder=RunFolder(folder),
            space=space,
            objectives=[objective],
            algorithm=make_algorithm(name, space=space, **budget),
            training=training or NoTraining(supernet=NoSupernet()),
            evaluator=evaluator or Tabular(whole),
            executor=Serial(device="cpu", workers_per_gpu=None),
            tracker=Together([]),
            results=Results(archive, folder, None),
            seed=seed,
        )
        return search, archive

    return make


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> Path:
    """A folder with a finished run, ``alone``, ``encas``, ``ensemble`` and ``greedy`` of its front, and their cache.

    Tests that write into them copy them.
    """
    return shared_runs(_base(tmp_path_factory))


@pytest.fixture(scope="session")
def joint_runs(tmp_path_factory) -> Path:
    """A folder with a finished run over two supernets, ``joint/seed_0``, ``encas`` of their fronts, and their cache.

    Tests that write into them copy them.
    """
    return shared_joint_runs(_base(tmp_path_factory))


def _base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all processes of the tests share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
