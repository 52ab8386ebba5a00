import numpy as np
import pytest
import torch
from torch import nn

from nas.training.descent import Descent, copied

CPU = torch.device("cpu")


def descent(network: nn.Module, clip_norm: float | None = None) -> Descent:
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    return Descent(optimizer, list(network.parameters()), scaler=scaler, device=CPU, clip_norm=clip_norm)


def steps(subject: Descent, network: nn.Module, n: int) -> None:
    for _ in range(n):
        subject.optimizer.zero_grad()
        subject.step(network(torch.ones(4, 3)).square().sum())


def test_one_that_goes_on_from_a_state_takes_the_same_steps():
    whole, half, other = (nn.Linear(3, 2) for _ in range(3))
    for network in (half, other):
        network.load_state_dict(whole.state_dict())
    steps(descent(whole), whole, 6)
    first = descent(half)
    steps(first, half, 3)
    second = descent(other)
    other.load_state_dict(half.state_dict())
    second.load(first.state())
    steps(first, half, 3)  # the state is a copy in the other one
    steps(second, other, 3)
    for network in (half, other):
        assert torch.equal(network.weight, whole.weight)


@pytest.mark.parametrize("clip_norm", [None, 0.5])
def test_a_long_gradient_is_clipped(clip_norm):
    network = nn.Linear(3, 2)
    nn.init.ones_(network.weight)
    before = network.weight.detach().clone()
    steps(descent(network, clip_norm), network, 1)
    length = float((network.weight.detach() - before).norm())
    assert (length <= 0.5 * 0.1 + 1e-6) == (clip_norm is not None)


def test_random_numbers_follow_from_seed_number_and_purpose():
    subject = descent(nn.Linear(1, 1))
    drawn = []
    state = torch.random.get_rng_state()
    for seed, number, purpose in ((0, 0, "dropout"), (0, 0, "dropout"), (1, 0, "dropout"), (0, 1, "x"), (0, 0, "x")):
        with subject.seeded(seed, number, purpose):
            drawn.append(float(torch.rand(1)))
    assert drawn[0] == drawn[1]
    assert len(np.unique(drawn)) == 4
    assert torch.equal(torch.random.get_rng_state(), state)


def test_tensors_are_copies_and_the_rest_is_as_it_was():
    tensor = torch.ones(2, requires_grad=True)
    before = {"a": [tensor, {"b": 3, "c": (1, 2)}], "d": None}
    after = copied(before)
    with torch.no_grad():
        tensor.fill_(7)
    assert torch.equal(after["a"][0], torch.ones(2))
    assert not after["a"][0].requires_grad
    assert after["a"][1] == {"b": 3, "c": (1, 2)}
    assert after["d"] is None
