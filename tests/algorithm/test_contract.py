"""What every algorithm must do, on a tabular problem; a new one joins by a name in this list."""

import numpy as np
import pytest

from nas.objective.cost import TableCost
from nas.space.constrained import Bound, Constrained
from nas.space.ofa import OfaSpace

NAMES = ["msunas", "nat", "random"]


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


class TestSmallSpace:
    @pytest.fixture
    def space(self):
        """A space of eight architectures."""
        return OfaSpace(
            n_stages=1, depths=(1,), kernel_sizes=(3, 5), expand_ratios=(2, 3), resolutions=(8,), widths=(0.5, 1.0)
        )

    @pytest.mark.parametrize("name", NAMES)
    def test_a_space_that_is_used_up_ends_the_search(self, name, make_search, tmp_path):
        search, archive = make_search(tmp_path, name, n_doe=6, n_iter=1, iterations=9)
        search.run(retry_failed=False)
        assert len(archive.genomes()) == 8
        assert archive.next_step == 3
