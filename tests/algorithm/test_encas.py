import json

import numpy as np
import pytest

from nas.algorithm.encas import ENCAS
from nas.cascade.evaluator import CascadeEvaluator
from nas.errors import UserError
from nas.executor.serial import Serial
from nas.loop import Search
from nas.objective.base import TOP1_ERROR
from nas.objective.cost import TableCost
from nas.objective.latency import Latency
from nas.optimizer.mo_gomea import MOGOMEA
from nas.optimizer.random import RandomSampling
from nas.run.archive import Archive
from nas.run.folder import RunFolder
from nas.run.results import Results
from nas.space.constrained import Bound, Constrained
from nas.supernet.none import NoSupernet
from nas.tracker.together import Together
from nas.training.none import NoTraining
from tests.cascade.test_source import pooled
from tests.cascades import memory_pool
from tests.tabular import Tabular


class Problem:
    """ENCAS on a pool in memory."""

    def __init__(self, goal="cascade", optimizer=None, most=None):
        self.source = pooled(memory_pool(), goal)
        self.cost = TableCost(cost="flops", tables=self.source.costs())
        self.evaluator = CascadeEvaluator(source=self.source)
        self.space = self.source.space
        if most is not None:
            self.space = Constrained(self.space, [Bound("flops", self.cost, None, most)])
        self.algorithm = ENCAS(
            space=self.space,
            objectives=[self.cost],
            optimizer=optimizer or MOGOMEA(evaluations=2000, population=16, archive_capacity=100),
            evaluator=self.evaluator,
        )

    def points(self, genomes):
        return np.column_stack([self.evaluator.errors(genomes), self.cost(genomes)])


@pytest.mark.parametrize("goal", ["cascade", "ensemble"])
def test_the_front_covers_every_network(goal):
    problem = Problem(goal)
    found = problem.algorithm.propose(None, 0, np.random.default_rng(0)).genomes
    points = problem.points(found)
    assert np.all(np.diff(points[:, 0]) > 0) and np.all(np.diff(points[:, 1]) < 0)
    for single in problem.points(problem.source.space.alone(np.arange(1, 8))):
        assert (points <= single + 1e-9).all(axis=1).any()
    single = problem.points(problem.source.space.alone(np.arange(1, 8)))
    assert points[:, 0].min() < single[:, 0].min()


def test_constraints_are_kept():
    for optimizer in (None, RandomSampling(evaluations=500, population=100)):
        problem = Problem(most=40.0, optimizer=optimizer)
        points = problem.points(problem.algorithm.propose(None, 0, np.random.default_rng(0)).genomes)
        assert len(points) > 1 and points[:, 1].max() <= 40


def test_what_is_not_cheap_is_refused(space, tables):
    optimizer = RandomSampling(evaluations=5, population=5)
    with pytest.raises(UserError, match="needs an evaluator that knows all results"):
        ENCAS(space=space, objectives=[], optimizer=optimizer, evaluator=Tabular(space))
    latency = Latency(batch_size=1, warmup=0, repeats=1, device="cpu")
    with pytest.raises(UserError, match="needs exact costs; latency is measured"):
        ENCAS(space=space, objectives=[latency], optimizer=optimizer, evaluator=Problem().evaluator)


class Killed(BaseException):
    pass


def search(folder, monkeypatch=None, kill_at=None):
    problem = Problem()
    if kill_at is not None:
        calls = []
        whole = problem.source._evaluate

        def evaluate(genomes, split):
            calls.append(split)
            if len(calls) == kill_at:
                raise Killed
            return whole(genomes, split)

        monkeypatch.setattr(problem.source, "_evaluate", evaluate)
    archive = Archive.open(folder / "archive.jsonl", [TOP1_ERROR, problem.cost.measure], problem.space.names)
    return Search(
        folder=RunFolder(folder),
        space=problem.space,
        objectives=[problem.cost],
        algorithm=problem.algorithm,
        training=NoTraining(supernet=NoSupernet()),
        evaluator=problem.evaluator,
        executor=Serial(device="cpu", workers_per_gpu=None),
        tracker=Together([]),
        results=Results(archive, folder, None),
        seed=3,
    )


@pytest.mark.parametrize("kill_at", [1, 5, 40])
def test_a_killed_search_ends_with_the_same_archive(kill_at, tmp_path, monkeypatch):
    search(tmp_path / "whole").run(retry_failed=False)
    with pytest.raises(Killed):
        search(tmp_path / "killed", monkeypatch, kill_at).run(retry_failed=False)
    search(tmp_path / "killed").run(retry_failed=False)
    whole, killed = ((tmp_path / name / "archive.jsonl").read_bytes() for name in ("whole", "killed"))
    assert whole == killed
    front = json.loads((tmp_path / "killed" / "front.json").read_text())["front"]
    assert front == json.loads((tmp_path / "whole" / "front.json").read_text())["front"]
    assert all({"top1", "flops", "answered_1", "kept"} <= set(member["test"]) for member in front)


def test_a_finished_search_is_not_repeated(tmp_path, monkeypatch):
    search(tmp_path).run(retry_failed=False)
    again = search(tmp_path)
    monkeypatch.setattr(again._algorithm._optimizer, "minimize", None)
    again.run(retry_failed=False)
