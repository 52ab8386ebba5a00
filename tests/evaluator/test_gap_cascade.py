import numpy as np
import pytest

from nas.evaluator.gap_cascade import GapCascades
from tests.cascades import memory_pool


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
