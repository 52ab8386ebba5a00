from collections.abc import Mapping

import pytest
import torch

from nas.evaluator.tuning import Tuning
from nas.types import Architecture
from tests.evaluator.test_subnet import evaluator
from tests.small import Bars, tiny

TUNING = Tuning(epochs=12, batch_size=12, lr=0.05, momentum=0.9, weight_decay=4e-5, label_smoothing=0.0, seed=0)


def both() -> tuple[list[Architecture], list[Mapping[str, float]], list[Mapping[str, float]]]:
    """Return two architectures, what they measure with the supernet's weights, and after training."""
    supernet, dataset = tiny(resolutions=(8,)), Bars()
    architectures = [supernet.space.decode(genome) for genome in (supernet.space.smallest, supernet.space.largest)]
    before = {name: tensor.clone() for name, tensor in supernet.module.state_dict().items()}
    plain = list(evaluator(supernet, dataset)(architectures, "train"))
    tuned = list(evaluator(supernet, dataset, tuning=TUNING)(architectures, "train"))
    assert all(torch.equal(before[name], tensor) for name, tensor in supernet.module.state_dict().items())
    return architectures, plain, tuned


def test_training_lowers_the_loss_and_leaves_the_supernet_as_it_is() -> None:
    _, plain, tuned = both()
    for untrained, trained in zip(plain, tuned, strict=True):
        assert trained["loss"] < 0.8 * untrained["loss"]
        assert trained["flops"] == untrained["flops"]


def test_results_depend_on_the_architecture_alone() -> None:
    architectures, _, tuned = both()
    torch.rand(3)  # what others draw changes nothing
    again = evaluator(tiny(resolutions=(8,)), Bars(), tuning=TUNING)(architectures[::-1], "train")
    assert list(again)[::-1] == tuned


def test_the_global_generator_is_left_alone() -> None:
    supernet, dataset = tiny(resolutions=(8,)), Bars()
    network = supernet.extract(supernet.space.decode(supernet.space.smallest))
    state = torch.get_rng_state()
    TUNING.tune(network, dataset, 8, device=torch.device("cpu"), amp=False)
    assert torch.equal(torch.get_rng_state(), state)
    assert not network.training


@pytest.mark.parametrize(("share", "lr"), [(0.0, 0.05), (0.5, 0.025), (1.0, 0.0)])
def test_the_learning_rate_falls_as_a_cosine(share: float, lr: float) -> None:
    assert TUNING._lr(share) == pytest.approx(lr)
