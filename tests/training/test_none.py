from nas.supernet.checkpoint import weights_digest
from nas.supernet.none import NoSupernet
from nas.training.none import NoTraining
from tests.small import tiny


def test_weights_stay_as_they_are() -> None:
    supernet = tiny()
    before = weights_digest(supernet.module.state_dict())
    calls: list[tuple[str, int, int]] = []
    training = NoTraining(supernet=supernet)
    training.prepare(lambda *progress: calls.append(progress))
    training.adapt(supernet.space.smallest[None], 0)
    training.conclude(lambda *progress: calls.append(progress))
    assert calls == []
    assert training.weights == before == weights_digest(supernet.module.state_dict())
    assert not training.moves


def test_there_may_be_no_weights() -> None:
    assert NoTraining(supernet=NoSupernet()).weights is None
