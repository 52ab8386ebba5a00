import numpy as np
import pytest
from scipy.special import softmax

from nas.errors import UserError
from nas.pool.model import from_logits, from_probabilities


@pytest.fixture
def logits() -> np.ndarray:
    return (3 * np.random.default_rng(0).standard_normal((50, 7))).astype(np.float32)


def test_probabilities_and_gaps_of_logits(logits):
    found = from_logits(logits)
    ordered = np.sort(logits, axis=1)
    np.testing.assert_allclose(found.probabilities, softmax(logits, axis=1), rtol=1e-3, atol=1e-6)
    np.testing.assert_array_equal(found.gaps, ordered[:, -1] - ordered[:, -2])
    assert (found.probabilities.dtype, found.gaps.dtype) == (np.float16, np.float32)


def test_blocks_change_nothing(logits, monkeypatch):
    whole = from_logits(logits)
    monkeypatch.setattr("nas.pool.model.BLOCK", 3 * 7)
    parts = from_logits(logits)
    np.testing.assert_array_equal(parts.probabilities, whole.probabilities)
    np.testing.assert_array_equal(parts.gaps, whole.gaps)


def test_large_logits_do_not_overflow():
    found = from_logits(np.array([[500.0, -500.0], [0.0, 300.0]], np.float32))
    np.testing.assert_array_equal(found.probabilities, [[1, 0], [0, 1]])
    np.testing.assert_array_equal(found.gaps, [1000, 300])


def test_gaps_of_probabilities_are_those_of_the_logits(logits):
    exact = softmax(logits.astype(np.float64), axis=1)
    np.testing.assert_allclose(from_probabilities(exact, None).gaps, from_logits(logits).gaps, atol=1e-4)


def test_given_gaps_are_kept(logits):
    gaps = np.arange(50, dtype=np.float16)
    found = from_probabilities(softmax(logits, axis=1), gaps)
    np.testing.assert_array_equal(found.gaps, gaps)
    assert found.gaps.dtype == np.float32


def test_certain_answers_have_a_finite_gap():
    assert np.isfinite(from_probabilities(np.array([[1.0, 0.0, 0.0]]), None).gaps).all()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_logits_must_be_finite(logits, wrong):
    logits[3, 2] = wrong
    with pytest.raises(FloatingPointError):
        from_logits(logits)


@pytest.mark.parametrize("rows", [[[0.5, 0.2]], [[1.5, -0.5]], [[np.nan, 1.0]], [[3.0, -1.0]]])
def test_what_is_no_probability_is_refused(rows):
    with pytest.raises(UserError, match="no probabilities"):
        from_probabilities(np.array(rows), None)
