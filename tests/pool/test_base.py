import numpy as np

from nas.pool.base import Outputs


def test_right_answers_are_the_first_class_of_the_highest_probability():
    probabilities = np.array([[[0.5, 0.5], [0.25, 0.75]], [[1, 0], [1, 0]]], dtype=np.float16)
    outputs = Outputs(probabilities, np.zeros((2, 2), dtype=np.float32), np.array([0, 1]))
    assert outputs.right().tolist() == [[True, True], [True, False]]
    assert Outputs(probabilities, outputs.gaps, np.array([1, 1])).right()[0].tolist() == [False, True]
