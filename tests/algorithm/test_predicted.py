import numpy as np
import pytest

from nas.algorithm.predicted import Predicted
from nas.errors import UserError
from nas.objective.base import Objective
from nas.objective.cost import TableCost
from nas.surrogate.gp import GP
from nas.surrogate.rbf import RBF
from nas.types import Measure


class Measured(Objective):
    measure = Measure("latency", "ms")


@pytest.fixture
def evaluated(space, tables):
    genomes = np.unique(space.sample(40, np.random.default_rng(0)), axis=0)
    flops = TableCost(cost="flops", tables=tables)
    error, latency = genomes.sum(axis=1) % 7 + 10.0, genomes[:, 0] + 2.0
    return genomes, np.column_stack([error, flops(genomes), latency]), [flops, Measured()]


def test_costs_are_exact_and_all_else_is_predicted(space, evaluated):
    genomes, values, objectives = evaluated
    predicted = Predicted(space, objectives, RBF())
    predicted.fit(genomes, values + np.array([0, 1e3, 0]))  # what costs were archived as does not matter
    np.testing.assert_allclose(predicted(genomes), values, atol=1e-5)
    np.testing.assert_array_equal(predicted(genomes)[:, 1], values[:, 1])
    np.testing.assert_array_equal(predicted.errors(genomes), predicted(genomes)[:, 0])


def test_the_problem_is_the_optimizers(space, evaluated):
    genomes, values, objectives = evaluated
    predicted = Predicted(space, objectives, RBF())
    predicted.fit(genomes, values)
    problem = predicted.problem()
    assert problem.n_objectives == 3
    np.testing.assert_array_equal(problem.evaluate(genomes), predicted(genomes))
    assert not problem.violation(genomes, values).any()
    assert problem.deviation(genomes) is None  # an interpolant does not say how sure it is


def test_models_say_how_sure_they_are_of_the_error(space, evaluated):
    genomes, values, objectives = evaluated
    surrogate = GP(kernel="gauss")
    predicted = Predicted(space, objectives, surrogate)
    predicted.fit(genomes, values)
    np.testing.assert_array_equal(predicted.problem().deviation(genomes), surrogate.deviation(genomes)[:, 0])


def test_budgets_below_the_need_are_refused(space):
    predicted = Predicted(space, [], RBF())
    predicted.check_budget("algorithm.n_doe", space.n_genes + 1)
    with pytest.raises(UserError, match=r"algorithm\.n_doe=5 is too small: surrogate=rbf needs at least 13 .* or more"):
        predicted.check_budget("algorithm.n_doe", 5)
