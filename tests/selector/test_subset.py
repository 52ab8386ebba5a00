from itertools import combinations

import numpy as np
import pytest

from nas.selector.subset import Subset


def spread(front, candidates, chosen):
    return np.std(np.diff(np.sort(np.concatenate([front, candidates[list(chosen)]]))))


@pytest.mark.parametrize("seed", range(20))
def test_finds_the_best_of_all_subsets(seed):
    rng = np.random.default_rng(seed)
    front = np.column_stack([np.zeros(4), rng.uniform(0, 10, 4)])
    candidates = np.column_stack([np.zeros(9), rng.uniform(-3, 13, 9)])
    chosen = Subset().select(candidates, front, 3, rng)
    best = min(combinations(range(9), 3), key=lambda c: spread(front[:, 1], candidates[:, 1], c))
    assert spread(front[:, 1], candidates[:, 1], chosen) == pytest.approx(spread(front[:, 1], candidates[:, 1], best))
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert len(chosen) == 3


def test_ties_and_a_front_of_one_point():
    candidates = np.column_stack([np.zeros(5), [1.0, 1.0, 2.0, 3.0, 3.0]])
    chosen = Subset().select(candidates, np.array([[0.0, 0.0]]), 3, np.random.default_rng(0))
    assert sorted(candidates[chosen, 1]) == [1, 2, 3]


def test_takes_all_where_there_are_too_few():
    candidates = np.ones((2, 2))
    assert Subset().select(candidates, np.zeros((1, 2)), 8, np.random.default_rng(0)).tolist() == [0, 1]
