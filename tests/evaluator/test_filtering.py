import numpy as np

from nas.evaluator.filtering import worth_keeping


def test_a_cascade_must_be_a_tenth_better_than_all_cheaper_ones():
    costs = np.array([5.0, 1, 2, 3, 4, 6])
    accuracies = np.array([92.0, 90.0, 90.04, 90.06, 89.0, 92.04])
    assert worth_keeping(accuracies, costs).tolist() == [True, True, False, True, False, False]


def test_of_equal_costs_the_best_is_kept_and_nothing_right_is_nothing_kept():
    assert worth_keeping(np.array([80.0, 81.0]), np.array([1.0, 1.0])).tolist() == [False, True]
    assert worth_keeping(np.zeros(2), np.ones(2)).tolist() == [False, False]
    assert worth_keeping(np.zeros(0), np.zeros(0)).tolist() == []
