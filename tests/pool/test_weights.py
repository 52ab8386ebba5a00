from nas.pool import model, weights
from nas.pool.weights import source_digest


def test_source_counts():
    assert source_digest(model) == source_digest(model) != source_digest(weights)
