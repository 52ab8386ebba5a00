import numpy as np

from nas.training.none import NoTraining
from nas.types import Batch


def test_nothing_happens() -> None:
    calls: list[tuple[str, int, int]] = []
    training = NoTraining()
    training.prepare(lambda *progress: calls.append(progress))
    training.adapt(Batch(genomes=np.zeros((1, 3), dtype=np.int64)), 0)
    assert calls == []
