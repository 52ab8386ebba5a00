import numpy as np
import pytest

from nas.algorithm.msunas import MSuNAS
from nas.errors import UserError
from nas.objective.cost import TableCost
from nas.optimizer.nsga2 import NSGA2
from nas.run.results import surrogate_quality
from nas.selector.base import Selector
from nas.surrogate.gp import GP


def test_budget_below_the_surrogates_need(make_algorithm):
    with pytest.raises(UserError, match=r"algorithm\.n_doe=5 is too small: surrogate=rbf needs at least 13"):
        make_algorithm("msunas", n_doe=5)


def test_without_iterations_no_surrogate_is_needed(make_algorithm):
    assert make_algorithm("msunas", n_doe=5, iterations=0).evaluations == 5


def test_candidates_carry_good_predictions(make_search, tmp_path):
    search, archive = make_search(tmp_path, "msunas", n_doe=40, n_iter=10)
    search.run(retry_failed=False)
    last = [entry for entry in archive.entries() if entry.step == 3]
    _, _, tau = surrogate_quality(last)
    assert tau is not None
    assert tau > 0.6
    assert archive.commits[-1].surrogate == archive.commits[-1].winner == "rbf"


@pytest.mark.slow
def test_beats_random_search_at_the_same_number_of_evaluations(make_search, tmp_path):
    wins = 0
    for seed in range(5):
        values = {}
        for name in ("msunas", "random"):
            search, _ = make_search(tmp_path / f"{name}{seed}", name, seed=seed, n_doe=20, n_iter=8, iterations=6)
            search.run(retry_failed=False)
            values[name] = search._results.hypervolume(6)
        wins += values["msunas"] > values["random"]
    assert wins == 5


@pytest.mark.parametrize("asks", [True, False])
def test_the_selector_is_told_how_sure_the_model_is_if_it_asks(asks, space, tables, make_search, tmp_path):
    told = []

    class Recording(Selector):
        uses_covariance = asks

        def choose(self, candidates, front, n, rng, covariance):
            told.append((candidates, covariance))
            return np.arange(n)

    surrogate = GP(kernel="gauss")
    algorithm = MSuNAS(
        space=space,
        objectives=[TableCost(cost="flops", tables=tables)],
        surrogate=surrogate,
        optimizer=NSGA2(population=12, generations=3, crossover_probability=0.9, mutation_eta=1.0),
        selector=Recording(),
        n_doe=20,
        n_iter=4,
        iterations=1,
    )
    search, archive = make_search(tmp_path, "msunas", n_doe=20, iterations=0)
    search.run(retry_failed=False)
    batch = algorithm.propose(archive, 1, np.random.default_rng(0))
    ((candidates, covariance),) = told
    if not asks:
        assert covariance is None
        return
    assert covariance.shape == (len(candidates), len(candidates))
    deviations = surrogate.deviation(batch.genomes)[:, 0]
    np.testing.assert_allclose(np.sqrt(np.diag(covariance))[: len(batch.genomes)], deviations, rtol=1e-6)


def test_a_batch_says_what_the_surrogate_makes_of_the_archive_and_what_took_how_long(
    make_search, make_algorithm, tmp_path
):
    search, archive = make_search(tmp_path, "msunas", n_doe=20, iterations=1)
    search.run(retry_failed=False)
    batch = make_algorithm("msunas").propose(archive, 2, np.random.default_rng(0))
    _, objectives = archive.arrays()
    np.testing.assert_allclose(batch.fitted, objectives[:, 0], atol=1e-6)  # it interpolates
    assert batch.seconds.keys() == {"fit", "search", "select"}
    assert make_algorithm("msunas").propose(archive, 0, np.random.default_rng(0)).fitted is None
