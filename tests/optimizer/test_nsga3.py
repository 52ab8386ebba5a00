import numpy as np
import pytest

from nas.errors import UserError
from nas.optimizer.nsga3 import NSGA3
from tests.optimizer.problems import Conflict, Plain


def optimizer(**changes):
    settings = {
        "population": 24,
        "generations": 30,
        "directions": 24,
        "crossover_probability": 0.9,
        "mutation_probability": 0.1,
        "mutation_eta": 1.0,
    }
    return NSGA3(**(settings | changes))


def test_spreads_over_the_directions():
    space = Plain([0] * 6, [30] * 6)
    conflict = Conflict(space)
    _, objectives = optimizer().minimize(
        conflict.problem, space.sample(24, np.random.default_rng(1)), np.random.default_rng(0)
    )
    scaled = (objectives - objectives.min(axis=0)) / np.ptp(objectives, axis=0)
    angles = np.arctan2(scaled[:, 1], scaled[:, 0])
    assert len(np.unique(np.floor(angles / (np.pi / 2) * 6))) >= 5


def test_fewer_individuals_than_directions_are_refused():
    with pytest.raises(UserError, match=r"optimizer\.population=10 is less than optimizer\.directions=24"):
        optimizer(population=10)
