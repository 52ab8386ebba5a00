import numpy as np

from nas.improvement import ExpectedImprovement, reference_beyond
from nas.selector.ehvi import EHVI

FRONT = np.array([[1.0, 5.0], [3.0, 3.0], [5.0, 1.0]])


def choose(candidates, n, covariance, front=FRONT, seed=0):
    return EHVI(margin=0.1).select(candidates, front, n, np.random.default_rng(seed), covariance).tolist()


def test_takes_the_uncertain_one_of_equals():
    candidates = np.array([[2.9, 3.0], [2.9, 3.0], [2.9, 3.0]])
    assert choose(candidates, 1, np.diag([0.01, 0.5, 0.1])) == [1]


def test_what_is_chosen_makes_its_likes_less_uncertain():
    """Two that are one and the same to the model, and a third that is worth a little less than either."""
    candidates = np.array([[3.0, 2.9], [3.0, 2.9], [3.2, 3.1]])
    alike = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    values = ExpectedImprovement(FRONT, reference_beyond(FRONT, 0.1))(candidates, np.ones(3))
    assert values[2] < values[0] == values[1]
    assert choose(candidates, 2, alike)[1] == 2


def test_the_chosen_join_the_front_as_predicted():
    candidates = np.array([[2.0, 2.5], [2.1, 2.6], [0.5, 4.5]])
    assert choose(candidates, 2, None) == [0, 2]


def test_goes_on_among_the_rest_where_nothing_adds_anything():
    candidates = np.array([[6.0, 6.0], [1.0, 4.0], [5.0, 5.0], [4.5, 1.0]])
    assert choose(candidates, 3, None, FRONT - 0.5) == [1, 2, 3]


def test_equal_candidates_have_equal_chances():
    chosen = [choose(np.full((4, 2), 2.0), 1, None, seed=seed)[0] for seed in range(40)]
    assert set(chosen) == {0, 1, 2, 3}
