import csv
import json

import numpy as np
import pytest

from nas.algorithm.encas_joint import ENCASJoint
from nas.algorithm.msunas import MSuNAS
from nas.algorithm.random import RandomSearch
from nas.cascade.joint_surrogate import JointSurrogate
from nas.errors import UserError
from nas.evaluator.base import Evaluator
from nas.executor.serial import Serial
from nas.loop import Search
from nas.objective.base import TOP1_ERROR, Objective
from nas.objective.cost import TableCost, expected
from nas.optimizer.mo_gomea import MOGOMEA
from nas.run.archive import Archive
from nas.run.folder import RunFolder
from nas.run.results import Results
from nas.selector.reference import Reference
from nas.selector.subset import Subset
from nas.space.base import SpaceSource
from nas.space.joint import EACH_MACS, JointSpace, MemberTables
from nas.space.ofa import OfaSpace
from nas.space.table import AdditiveTable
from nas.surrogate.rbf import RBF
from nas.surrogate.rbf_ensemble import RBFEnsemble
from nas.tracker.base import RunInfo
from nas.tracker.csv import CsvTracker
from nas.types import Measure
from tests.algorithm.test_nat import Drifting, Killed

BUDGET = {"n_doe": 20, "n_iter": 12, "iterations": 3}


def member(n_stages: int) -> OfaSpace:
    return OfaSpace(
        n_stages=n_stages,
        depths=(1, 2),
        kernel_sizes=(3, 5),
        expand_ratios=(2, 3),
        resolutions=(8, 12),
        widths=(0.5, 1.0),
    )


class Source(SpaceSource):
    fingerprint = "tables"

    def __init__(self) -> None:
        self.space = JointSpace({"small": member(1), "large": member(2)})
        tables = [
            AdditiveTable(
                each.n_genes, [((g,), 1000 * (g + 2) * (1 + np.arange(each.upper[g] + 1))) for g in range(each.n_genes)]
            )
            for each in self.space.members.values()
        ]
        self._costs = {name: MemberTables(self.space, tables) for name in (EACH_MACS, "params")}

    def costs(self):
        return self._costs


class Cascades(Evaluator):
    """Networks that answer the better the more they cost; what they are sure of goes no further."""

    def __init__(self, source, fails=lambda _: False):
        self.source, self.fails, self.bonus = source, fails, 0.0

    def __call__(self, architectures, split):
        return [self.metrics(architecture, split) for architecture in architectures]

    def metrics(self, architecture, split):
        if self.fails(architecture):
            raise FloatingPointError("no such luck")
        space, genome = self.source.space, np.array([architecture.genome])
        parts = self.source.costs()[EACH_MACS].parts(genome)
        each = {name: float(value[0]) / 1e6 for name, value in parts.items()}
        own = {name: 40 - 30 * (cost / 0.1) ** 0.5 - self.bonus for name, cost in each.items()}
        names = [list(each)[i] for i in space.order(genome)[0]]
        goes_on = float(space.limits(genome)[0, 0])
        error = own[names[0]] * (1 - goes_on) + 0.95 * goes_on * min(own.values())
        flops = each[names[0]] + goes_on * each[names[1]]
        found = {"top1": 100 - error - (1 if split == "test" else 0), "flops": flops, "params": 1.0}
        found |= {f"{name}_error": value for name, value in own.items()}
        return found | {f"{name}_flops": value for name, value in each.items()}


def surrogate(source, errors="combined"):
    def rbf(**_):
        return RBFEnsemble(members=20, seed=0, device="cpu")

    return JointSurrogate(source=source, errors=errors, member=rbf, combining=rbf(), cost=rbf())


def algorithm(source, reevaluate=True, **changes):
    objectives = [expected(TableCost(cost="flops", tables=source.costs()))]
    parts = {
        "space": source.space,
        "objectives": objectives,
        "surrogate": surrogate(source),
        "optimizer": MOGOMEA(evaluations=150, population=16, archive_capacity=100),
        "selector": Reference(directions=12),
        "reevaluate": reevaluate,
        "fit_on": None,
    }
    return ENCASJoint(**(parts | BUDGET | changes))


def make(folder, fails=lambda _: False, seed=0, chosen=None):
    source = Source()
    evaluator = Cascades(source, fails)
    training = Drifting(evaluator)
    objectives = [expected(TableCost(cost="flops", tables=source.costs()))]
    archive = Archive.open(folder / "archive.jsonl", [TOP1_ERROR, objectives[0].measure], source.space.names)
    results = Results(archive, folder, None)
    tracker = CsvTracker()
    run = RunInfo(folder, "id", "group", "name", "search", (), {}, archive.measures, 4, 56)
    folder.mkdir(exist_ok=True)
    tracker.start(run, [results.summary(step) for step in range(archive.next_step)])
    search = Search(
        folder=RunFolder(folder),
        space=source.space,
        objectives=objectives,
        algorithm=chosen or algorithm(source),
        training=training,
        evaluator=evaluator,
        executor=Serial(device="cpu", workers_per_gpu=None),
        tracker=tracker,
        results=results,
        seed=seed,
    )
    return search, archive


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("joint") / "whole"
    search, archive = make(folder)
    search.run(retry_failed=False)
    return folder, archive


def test_each_evaluation_keeps_what_its_networks_do(undisturbed):
    _, archive = undisturbed
    assert archive.n_evaluations() == 20 + 3 * 12
    for entry in archive.history:
        assert {"small_error", "large_error", "small_flops", "large_flops"} <= set(entry.metrics)
        assert entry.objectives == (100 - entry.metrics["top1"], entry.metrics["flops"])
    for step in range(1, 4):
        before = {entry.architecture.genome for entry in archive.batch(step - 1)}
        again = {entry.architecture.genome for entry in archive.batch(step)} & before
        assert again
        assert archive.fresh(step)


def test_every_step_says_how_well_each_part_of_the_surrogate_ranks(undisturbed):
    folder, archive = undisturbed
    assert archive.commit_of(0).parts == {}
    rows = list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))
    for step in range(1, 4):
        parts = archive.commit_of(step).parts
        assert set(parts) == {"flops", "small_error", "large_error"}
        stats = json.loads((folder / f"iter_{step}.stats").read_text())["surrogate"]
        for name, rho in parts.items():
            assert stats[f"rho_{name}"] == rho
            assert rows[step][f"rho_{name}"] == ("" if rho is None else str(rho))
    assert archive.commit_of(3).parts["flops"] > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("calls", [3, 20, 21, 40, 58])
def test_killed_while_evaluating_it_ends_with_the_same_archive(calls, undisturbed, tmp_path):
    left = calls

    def dies(_):
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed
        return False

    killed, _ = make(tmp_path, dies)
    with pytest.raises(Killed):
        killed.run(retry_failed=False)
    resumed, _ = make(tmp_path)
    resumed.run(retry_failed=False)
    for file in ("archive.jsonl", "front.json", "iter_3.stats"):
        assert (tmp_path / file).read_bytes() == (undisturbed[0] / file).read_bytes()


def test_other_seeds_are_other_searches(undisturbed, tmp_path):
    search, archive = make(tmp_path, seed=1)
    search.run(retry_failed=False)
    assert archive.genomes().tolist() != undisturbed[1].genomes().tolist()


def test_what_failed_reaches_no_surrogate(tmp_path):
    calls = []

    def fails(architecture):
        calls.append(architecture)
        return len(calls) in (2, 7, 25)

    search, archive = make(tmp_path, fails)
    search.run(retry_failed=False)
    assert sum(entry.objectives is None for entry in archive.history) == 3
    assert archive.next_step == 4


class Latency(Objective):
    measure = Measure("latency", "ms")


def test_other_parts_are_refused():
    source = Source()
    with pytest.raises(UserError, match=r"algorithm=encas_joint needs surrogate=cascade, .*; surrogate=rbf does not"):
        algorithm(source, surrogate=RBF())
    for objectives, named in (
        ([Latency()], "latency"),
        ([TableCost(cost="params", tables=source.costs())], "known costs"),
    ):
        with pytest.raises(UserError, match=rf"choose sec_obj=\[flops\] or sec_obj=\[flops,params\], not {named}"):
            algorithm(source, objectives=objectives)
    with pytest.raises(UserError, match=r"algorithm\.n_doe=1 is too small: surrogate=cascade needs at least 2"):
        algorithm(source, n_doe=1)
    with pytest.raises(
        UserError, match=r"surrogate=cascade needs the errors of each network: choose algorithm=encas_joint"
    ):
        MSuNAS(
            space=source.space, objectives=[], surrogate=surrogate(source), selector=Subset(),
            optimizer=MOGOMEA(evaluations=5, population=2, archive_capacity=5), **BUDGET,
        )  # fmt: skip


def test_random_search_begins_with_the_same_cascades(tmp_path):
    source = Source()
    _, archive = make(tmp_path)
    joint = algorithm(source).propose(archive, 0, np.random.default_rng(3)).genomes
    other = RandomSearch(space=source.space, **BUDGET).propose(archive, 0, np.random.default_rng(3)).genomes
    np.testing.assert_array_equal(joint, other)
