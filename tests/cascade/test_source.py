import numpy as np
import pytest

from nas.cascade.source import GapCascades, PooledCascades
from nas.errors import UserError
from nas.pool.none import NoPool
from tests.cascades import by_definition, memory_pool


def pooled(pool, goal="cascade"):
    return PooledCascades(pool=pool, device="cpu", search_goal=goal, size=3, threads=1, memory_mib=100)


@pytest.mark.parametrize("goal", ["cascade", "ensemble"])
@pytest.mark.parametrize("split", ["validation", "test"])
def test_outcomes_are_those_of_the_definition(goal, split):
    pool = memory_pool()
    source = pooled(pool, goal)
    genomes = source.space.sample(30, np.random.default_rng(0))
    outcome = source.outcome(genomes, split)
    arrays = pool.outputs(split)
    networks, thresholds = source.space.parts(genomes)
    for row in range(30):
        error, reached = by_definition(arrays.probabilities, arrays.labels, networks[row], thresholds[row])
        assert outcome.errors[row] == error
        assert outcome.reached[row].tolist() == reached


def test_tables_are_average_costs_on_the_validation_images():
    pool = memory_pool()
    pool.costs = pool.costs | {"latency": pool.costs["flops"] / 7, "params": np.arange(1, 8) * 1.0}
    source = pooled(pool)
    genome = source.space.encode({"networks": ["net1", "net4", "net1"], "thresholds": [0.6, 0.9]})[None]
    reached = source.outcome(genome, "validation").reached[0]
    expected = pool.costs["flops"][[1, 4, 1]] @ reached / 100
    tables = source.costs()
    assert tables["macs"](genome)[0] == pytest.approx(1e6 * expected)
    assert tables["latency"](genome)[0] == pytest.approx(1e6 * expected / 7)
    assert tables["params"](genome)[0] == pytest.approx(1e6 * (2 + 5))  # net1 comes twice, its weights do not


def test_what_is_asked_again_is_remembered(monkeypatch):
    source = pooled(memory_pool())
    genomes = source.space.sample(3, np.random.default_rng(0))
    first = source.outcome(genomes, "validation")
    assert source.outcome(genomes.copy(), "validation") is first
    assert source.outcome(genomes[:2], "validation") is not first


def test_unknown_costs_and_empty_pools_are_refused():
    source = pooled(memory_pool())
    assert "latency" not in source.costs()
    with pytest.raises(UserError, match="does not know params of all its networks; it knows flops"):
        source.costs()["params"](source.space.smallest[None])
    with pytest.raises(UserError, match="choose pool=runs, pool=timm or pool=files"):
        pooled(NoPool())


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_first_confident_network_answers(split):
    pool = memory_pool()
    source = GapCascades(pool=pool)
    genome = source.space.encode({"networks": ["net5", "net2", "net6"], "gaps": [0.8, 0.5]})
    outcome = source.outcome(genome[None], split)
    arrays = pool.outputs(split)
    right, reached = 0, [0, 0, 0]
    for image, label in enumerate(arrays.labels):
        answered = next((i for i, (net, gap) in enumerate([(5, 0.8), (2, 0.5)]) if arrays.gaps[net, image] > gap), 2)
        right += arrays.probabilities[[5, 2, 6][answered], image].argmax() == label
        for position in range(answered + 1):
            reached[position] += 1
    assert outcome.errors[0] == pytest.approx(100 - right)
    assert outcome.reached[0].tolist() == [*reached, 0, 0, 0, 0]
    cost = source.average_costs(outcome)["flops"][0]
    assert cost == pytest.approx(pool.costs["flops"][[5, 2, 6]] @ np.array(reached) / 100)
