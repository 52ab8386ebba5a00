"""What every algorithm must do, on a tabular problem; a new one joins by a name in this list."""

import json

import numpy as np
import pytest

import nas.plotting.run
import nas.space.base
from nas.objective.cost import TableCost
from nas.space.constrained import Bound, Constrained
from nas.space.ofa import OfaSpace
from tests.algorithm.test_nat import Drifting, Moving
from tests.optimizer.test_contract import OPTIMIZERS
from tests.selector.test_contract import SELECTORS
from tests.surrogate.test_contract import MAKERS, additive_gp, gp

NAMES = ["msunas", "nat", "random"]


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    monkeypatch.setattr(nas.plotting.run, "front_figure", lambda *_, **__: None)
    monkeypatch.setattr(nas.plotting.run, "hypervolume_figure", lambda *_, **__: None)


@pytest.mark.parametrize("name", NAMES)
def test_runs_its_whole_budget_without_repeating_itself(name, make_search, tmp_path):
    search, archive = make_search(tmp_path, name)
    search.run(retry_failed=False)
    genomes = archive.genomes()
    assert len(genomes) == 16 + 3 * 4 == len(np.unique(genomes, axis=0))
    assert archive.next_step == 4


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_archive_other_seed_other_archive(name, make_search, tmp_path):
    for folder, seed in [("a", 0), ("b", 0), ("c", 1)]:
        search, _ = make_search(tmp_path / folder, name, seed=seed)
        search.run(retry_failed=False)
    a, b, c = ((tmp_path / folder / "archive.jsonl").read_bytes() for folder in "abc")
    assert a == b != c


@pytest.mark.parametrize("name", NAMES)
def test_initial_designs_are_equal_and_hold_both_ends(name, make_algorithm, make_search, tmp_path, space):
    _, archive = make_search(tmp_path)
    design = make_algorithm(name).propose(archive, 0, np.random.default_rng(5)).genomes
    other = make_algorithm("random").propose(archive, 0, np.random.default_rng(5)).genomes
    np.testing.assert_array_equal(design, other)
    np.testing.assert_array_equal(design[:2], [space.smallest, space.largest])


class TestConstraints:
    @pytest.mark.parametrize("name", NAMES)
    def test_hard_constraints_are_kept(self, name, make_search, tmp_path, space, tables):
        cost = TableCost(cost="flops", tables=tables)
        smallest, largest = cost(np.stack([space.smallest, space.largest]))
        most = smallest + 0.3 * (largest - smallest)
        constrained = Constrained(space, [Bound("flops", cost, None, most)])
        search, archive = make_search(tmp_path, name, space=constrained)
        search.run(retry_failed=False)
        genomes, _ = archive.arrays()
        assert len(genomes) == 16 + 3 * 4
        assert (cost(genomes) <= most).all()


def small(kernel_sizes=(3, 5), expand_ratios=(2, 3), widths=(0.5, 1.0)):
    """A space of eight architectures, or of fewer."""
    return OfaSpace(
        n_stages=1, depths=(1,), kernel_sizes=kernel_sizes, expand_ratios=expand_ratios, resolutions=(8,), widths=widths
    )


USED_UP = "the search space is used up: all 8 architectures are evaluated"


class TestSmallSpace:
    @pytest.fixture
    def space(self):
        return small()

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize(("n_iter", "steps"), [(1, 3), (5, 2)])
    def test_a_space_that_is_used_up_ends_the_search(self, name, n_iter, steps, make_search, tmp_path):
        search, archive = make_search(tmp_path, name, n_doe=6, n_iter=n_iter, iterations=9)
        search.run(retry_failed=False)
        assert len(archive.genomes()) == 8
        assert archive.next_step == steps
        assert json.loads((tmp_path / "front.json").read_text())["finished"] is True
        assert search.remark() == USED_UP

    @pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
    def test_with_every_surrogate(self, make, make_search, tmp_path, space):
        surrogate = make(space) if make is additive_gp else make()
        search, archive = make_search(tmp_path, n_doe=6, n_iter=2, iterations=9, surrogate=surrogate)
        search.run(retry_failed=False)
        assert len(archive.genomes()) == 8
        assert search.remark() == USED_UP

    @pytest.mark.parametrize(
        "parts",
        [*({"optimizer": part} for part in OPTIMIZERS.values()), *({"selector": part} for part in SELECTORS.values())],
        ids=[*OPTIMIZERS, *(f"selector_{name}" for name in SELECTORS)],
    )
    def test_with_every_optimizer_and_selector(self, parts, make_search, tmp_path):
        """On a surrogate that says how sure it is."""
        search, archive = make_search(tmp_path, n_doe=5, n_iter=2, iterations=9, surrogate=gp(), **parts)
        search.run(retry_failed=False)
        assert len(archive.genomes()) == 8
        assert search.remark() == USED_UP

    @pytest.mark.parametrize("name", NAMES)
    def test_an_initial_design_of_the_whole_space_is_said_too(self, name, make_search, tmp_path):
        search, archive = make_search(tmp_path, name, n_doe=30, iterations=0)
        search.run(retry_failed=False)
        assert len(archive.genomes()) == 8
        assert search.remark() == USED_UP

    def test_nothing_is_said_where_the_budget_was_spent(self, make_search, tmp_path):
        search, _ = make_search(tmp_path, n_doe=6, n_iter=1, iterations=2)
        search.run(retry_failed=False)
        assert search.remark() is None

    def test_what_adapting_weights_evaluate_again_goes_on(self, make_search, tmp_path, space):
        evaluator = Moving(space)
        training = Drifting(evaluator)
        parts = {"evaluator": evaluator, "training": training, "surrogate": gp()}
        search, archive = make_search(tmp_path, "nat_adapting", n_doe=8, n_iter=6, iterations=3, **parts)
        search.run(retry_failed=False)
        assert [len(archive.batch(step)) for step in range(4)] == [8, 6, 6, 6]
        assert search.remark() == USED_UP


@pytest.mark.parametrize("name", [*NAMES, "nat_adapting"])
@pytest.mark.parametrize("n", [1, 2])
class TestTinySpace:
    @pytest.fixture
    def space(self, n):
        return small((3,), (2,), (0.5, 1.0)[:n])

    def test_ends_well(self, name, n, make_search, tmp_path, space):
        moving = Moving(space)
        moving.full = moving.full or 1.0  # with a single architecture there is nothing to choose
        parts = {"evaluator": moving, "surrogate": gp()} if name != "random" else {"evaluator": moving}
        parts |= {"training": Drifting(moving)} if name == "nat_adapting" else {}
        search, archive = make_search(tmp_path, name, n_doe=9, n_iter=2, iterations=2, **parts)
        search.run(retry_failed=False)
        assert len(archive.genomes()) == n
        front = json.loads((tmp_path / "front.json").read_text())
        assert front["finished"] is True and front["hypervolume"] > 0
        assert search.remark().startswith("the search space is used up")


@pytest.mark.parametrize(("name", "n"), [("msunas", 2), ("nat", 1)])
def test_constraints_that_leave_one_or_two_architectures(name, n, make_search, tmp_path, space):
    def cost(genomes):  # another one for each of the 7,056 architectures
        return genomes @ 3.0 ** np.arange(space.n_genes)

    values = np.sort(cost(space.unseen(space.smallest[None][:0])))
    assert len(values) == len(np.unique(values)) == 7056
    constrained = Constrained(space, [Bound("flops", cost, values[3000], values[3000 + n - 1])])
    search, archive = make_search(tmp_path, name, space=constrained)
    search.run(retry_failed=False)
    assert len(archive.genomes()) == n
    assert search.remark().startswith("the search space is used up")


def test_draws_without_anything_new_end_the_search_and_claim_no_more(make_search, tmp_path, space, monkeypatch):
    few = space.sample(3, np.random.default_rng(0))
    monkeypatch.setattr(nas.space.base, "_LISTED", 100)
    monkeypatch.setattr(OfaSpace, "sample", lambda _, n, rng: few[rng.integers(3, size=n)])
    search, archive = make_search(tmp_path, "random")
    search.run(retry_failed=False)
    assert len(archive.genomes()) == 5
    assert search.remark() == "no new architecture was found after 5: the search ends before its budget is spent"
