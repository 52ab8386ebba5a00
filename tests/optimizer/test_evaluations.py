import numpy as np

from nas.optimizer.evaluations import Evaluations
from tests.optimizer.problems import Conflict, Plain


def test_ids_in_order_repeats_known_and_values_kept(space):
    conflict = Conflict(space, limit=5.0)
    evaluations = Evaluations(conflict.problem, 10_000)
    rng = np.random.default_rng(0)
    for _ in range(40):
        genomes = rng.integers(space.lower, space.upper, size=(60, space.n_genes), endpoint=True)
        before = evaluations.n
        ids = evaluations(genomes)
        canonical = space.canonical(genomes)
        np.testing.assert_array_equal(evaluations.genomes(ids), canonical)
        np.testing.assert_array_equal(evaluations.objectives[ids], conflict.objectives(canonical))
        np.testing.assert_array_equal(
            evaluations.violations[ids], conflict.violation(canonical, conflict.objectives(canonical))
        )
        fresh, first = np.unique(ids[ids >= before], return_index=True)
        np.testing.assert_array_equal(fresh, np.arange(before, evaluations.n))
        assert (np.diff(first) > 0).all()
    assert len(conflict.asked) == len(np.unique(conflict.asked, axis=0)) == evaluations.n < 40 * 60


def test_what_is_beyond_the_budget_has_no_id_and_stays_unknown():
    space = Plain([5], [1000])
    conflict = Conflict(space)
    evaluations = Evaluations(conflict.problem, 4)
    assert evaluations(np.array([[7], [8], [7]])).tolist() == [0, 1, 0]
    assert not evaluations.spent
    assert evaluations(np.array([[9], [8], [900], [901], [900], [9], [902]])).tolist() == [2, 1, 3, -1, 3, 2, -1]
    assert evaluations.spent
    assert evaluations(np.array([[901], [7]])).tolist() == [-1, 0]
    assert conflict.asked[:, 0].tolist() == [7, 8, 9, 900]
