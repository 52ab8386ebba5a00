import numpy as np
import pytest

from nas.cascade.source import PooledCascades
from nas.objective.cost import TableCost
from nas.task import made_up
from nas.task.made_up import MadeUpPool, archive


def test_an_archive_of_the_size_asked_for(space, tables):
    objective = TableCost(cost="flops", tables=tables)
    measured = [{"top1": 50.0, "loss": 2.0}, {"top1": 60.0, "loss": 4.0}]
    made = archive(space, [objective], measured, [20, 4, 4], np.random.default_rng(0))
    assert made.next_step == 3
    assert [len(made.batch(step)) for step in range(3)] == [20, 4, 4]
    genomes, objectives = made.arrays()
    assert len(np.unique(genomes, axis=0)) == 28
    np.testing.assert_array_equal(objectives[:, 1], objective(genomes))
    assert np.corrcoef(genomes.sum(axis=1), objectives[:, 0])[0, 1] < -0.5
    assert all(1.8 <= entry.metrics["loss"] <= 4.4 for entry in made.history)


def test_a_pool_of_few_images_stands_for_many(monkeypatch):
    monkeypatch.setattr(made_up, "MOST_OUTPUTS", 3000)
    pool = MadeUpPool(networks=6, images=1000, classes=5)
    found = pool.outputs("validation")
    assert found.probabilities.shape == (6, 100, 5)
    assert pool.share == 10
    assert pool.stored_bytes == 2 * 6 * 1000 * (2 * 5 + 4)
    np.testing.assert_allclose(found.probabilities.astype(np.float64).sum(axis=2), 1, atol=5e-3)
    errors = (found.probabilities.argmax(axis=2) != found.labels).mean(axis=1)
    assert errors[-1] < errors[0]
    assert 0 < errors.min() < errors.max() < 1


@pytest.mark.parametrize("goal", ["cascade", "ensemble"])
def test_cascades_are_made_of_it(goal):
    pool = MadeUpPool(networks=4, images=50, classes=3)
    source = PooledCascades(pool=pool, device="cpu", search_goal=goal, size=3, threads=1, memory_mib=64)
    outcome = source.outcome(source.space.sample(20, np.random.default_rng(0)), "validation")
    assert ((outcome.errors >= 0) & (outcome.errors <= 100)).all()
