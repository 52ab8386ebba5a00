import json

import numpy as np
import pytest

from nas.errors import UserError
from nas.training.base import Training
from tests.tabular import Tabular

SMALL = {"n_doe": 16, "n_iter": 14, "iterations": 3}


class Killed(BaseException):
    """Like kill -9: nothing catches it."""


class Drifting(Training):
    """Weights that a step changes: everything is a little better then."""

    moves = True

    def __init__(self, evaluator):
        self.evaluator = evaluator
        self.steps = 0
        self.batches = []

    def prepare(self, progress):
        self.steps = 0
        self._show()

    @property
    def weights(self):
        return f"after {self.steps}"

    def restore(self, batches):
        self.batches = [batch.tolist() for batch in batches]
        self.steps = len(batches)
        self._show()

    def adapt(self, genomes, step):
        assert step == len(self.batches)
        self.batches.append(genomes.tolist())
        self.steps = step + 1
        self._show()

    def conclude(self, progress):
        self.steps += 100
        self._show()

    def _show(self):
        self.evaluator.bonus = 0.1 * self.steps


class Moving(Tabular):
    bonus = 0.0

    def metrics(self, architecture, split):
        found = super().metrics(architecture, split)
        return {**found, "top1": found["top1"] + self.bonus}


@pytest.fixture
def adapting(make_search, space):
    """Build a search whose weights move."""

    def make(folder, fails=lambda _: False, seed=0, **budget):
        evaluator = Moving(space, fails)
        training = Drifting(evaluator)
        search, archive = make_search(
            folder, "nat_adapting", evaluator=evaluator, training=training, seed=seed, **(SMALL | budget)
        )
        return search, archive, training

    return make


def test_every_step_evaluates_the_best_of_old_and_new_with_its_own_weights(adapting, tmp_path):
    search, archive, training = adapting(tmp_path)
    search.run(retry_failed=False)
    assert [len(archive.batch(step)) for step in range(4)] == [16, 14, 14, 14]
    assert archive.n_evaluations() == 16 + 3 * 14
    for step in range(4):
        batch = archive.batch(step)
        assert {entry.weights for entry in batch} == {f"after {step + 1}"}
        assert training.batches[step] == [list(entry.architecture.genome) for entry in batch]
    for step in range(1, 4):
        again = {e.architecture.genome for e in archive.batch(step)} & {
            e.architecture.genome for e in archive.batch(step - 1)
        }
        assert again
        assert archive.fresh(step)
    newest = {e.architecture.genome: e for e in archive.entries()}
    repeated = next(iter(again))
    assert newest[repeated].step == 3


def test_the_front_is_measured_again_with_the_weights_that_the_search_leaves(adapting, tmp_path):
    search, archive, _ = adapting(tmp_path)
    search.run(retry_failed=False)
    members = json.loads((tmp_path / "front.json").read_text())["front"]
    assert len(members) == len(archive.front())
    for member, entry in zip(members, archive.front(), strict=True):
        steps = entry.step + 1
        assert member["weights"] == f"after {steps}"
        assert member["final"]["top1"] == pytest.approx(member["metrics"]["top1"] + 0.1 * (104 - steps))
        assert member["test"]["top1"] == pytest.approx(member["final"]["top1"] - 1)
        assert (member["predicted"] is None) == (entry.step == 0)
    assert json.loads((tmp_path / "final" / "net_0.stats").read_text())["weights"] == "after 104"


@pytest.mark.slow
@pytest.mark.parametrize("calls", [3, 16, 17, 40, 58])
def test_killed_while_evaluating_it_ends_with_the_same_archive(calls, adapting, tmp_path):
    whole, _, _ = adapting(tmp_path / "whole")
    whole.run(retry_failed=False)
    left = calls

    def dies(_):
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed
        return False

    killed, _, _ = adapting(tmp_path / "killed", dies)
    with pytest.raises(Killed):
        killed.run(retry_failed=False)
    resumed, archive, training = adapting(tmp_path / "killed")
    resumed.run(retry_failed=False)
    for file in ("archive.jsonl", "front.json"):
        assert (tmp_path / "killed" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    assert len(training.batches) == 4 == archive.next_step


def test_only_failures_of_the_last_weights_are_tried_again(adapting, tmp_path):
    calls = []

    def fails(architecture):
        calls.append(architecture)
        return len(calls) in (5, 30, 57)  # in the steps 0, 1 and 3

    search, archive, _ = adapting(tmp_path, fails)
    search.run(retry_failed=False)
    failed = [[e.objectives is None for e in archive.batch(step)].count(True) for step in range(4)]
    assert failed == [1, 1, 0, 1]
    search, archive, _ = adapting(tmp_path)
    search.run(retry_failed=True)
    failed = [[e.objectives is None for e in archive.batch(step)].count(True) for step in range(4)]
    assert failed == [1, 1, 0, 0]
    assert {entry.weights for entry in archive.batch(3)} == {"after 4"}


def test_it_goes_on_where_most_evaluations_failed(adapting, tmp_path):
    calls = []

    def fails(architecture):
        calls.append(architecture)
        return 3 <= len(calls) <= 16  # all but two of the initial design

    search, archive, _ = adapting(tmp_path, fails)
    search.run(retry_failed=False)
    assert archive.next_step == 4
    assert len(archive.batch(1)) == 14
    assert {e.architecture.genome for e in archive.batch(0)[:2]} <= {e.architecture.genome for e in archive.batch(1)}


def test_a_step_without_any_result_is_passed_over(adapting, tmp_path):
    calls = []

    def fails(architecture):
        calls.append(architecture)
        return 17 <= len(calls) <= 30  # all of step 1

    search, archive, _ = adapting(tmp_path, fails)
    search.run(retry_failed=False)
    assert [sum(entry.objectives is not None for entry in archive.batch(step)) for step in range(4)] == [16, 0, 14, 14]


def test_with_frozen_weights_nothing_is_evaluated_again(make_search, tmp_path):
    search, archive = make_search(tmp_path, "nat", **SMALL)
    search.run(retry_failed=False)
    assert len(archive.genomes()) == archive.n_evaluations() == 16 + 3 * 14
    assert "final" not in json.loads((tmp_path / "front.json").read_text())["front"][0]


def test_the_surrogate_may_be_fitted_to_a_selection(make_algorithm, make_search, tmp_path):
    search, archive = make_search(tmp_path, "nat", n_doe=40, n_iter=5, iterations=1)
    search.run(retry_failed=False)
    algorithm = make_algorithm("nat", n_doe=40, n_iter=5, iterations=1)
    algorithm._fit_on = 20
    batch = algorithm.propose(archive, 1, np.random.default_rng(0))
    _, objectives = archive.arrays()
    assert len(batch.fitted) == len(objectives) == len(batch.known)
    errors = np.abs(batch.fitted - objectives[:, 0])
    assert (errors < 1e-6).sum() >= 20  # what it interpolates
    assert (errors > 1e-6).any()


@pytest.mark.parametrize("name", ["n_doe", "n_iter"])
def test_budgets_below_the_surrogates_need_are_refused(name, make_algorithm):
    with pytest.raises(UserError, match=rf"algorithm\.{name}=5 is too small: surrogate=rbf needs at least 13"):
        make_algorithm("nat_adapting", **(SMALL | {name: 5}))
