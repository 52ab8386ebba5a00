from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas.errors import UserError
from nas.supernet.tiny import Tiny
from nas.types import Architecture
from tests.small import tiny


def architectures(supernet: Tiny, n: int) -> Iterator[Architecture]:
    space = supernet.space
    for genome in (space.smallest, space.largest, *space.sample(n, np.random.default_rng(0))):
        yield space.decode(genome)


def scramble(supernet: Tiny) -> Tiny:
    """Give every tensor values that matter: the first batch-norms would hide differences."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in supernet.module.state_dict().items():
        if tensor.is_floating_point():
            noise = torch.randn(tensor.shape, generator=generator)
            tensor.copy_(noise.abs() + 0.5 if name.endswith("running_var") else noise)
    return supernet


def images(architecture: Architecture, n: int = 3) -> Tensor:
    side = architecture.config["r"]
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(2))


def counted_macs(network: nn.Module, batch: Tensor) -> int:
    total = 0

    def count(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal total
        weight = module.weight
        assert isinstance(weight, Tensor)
        total += output[0].numel() * weight[0].numel()

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        network(batch)
    return total


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_extracted_networks_compute_what_the_supernet_does(training: bool) -> None:
    supernet = scramble(tiny())
    for architecture in architectures(supernet, 20):
        network = supernet.extract(architecture)
        assert not network.training
        network.train(training)
        supernet.module.train(training)
        batch = images(architecture)
        expected = supernet.forward(batch, architecture)
        assert expected.shape == (3, 4)
        torch.testing.assert_close(network(batch), expected, rtol=1e-5, atol=1e-5)


def test_extracted_networks_are_ordinary_copies() -> None:
    supernet = tiny()
    architecture = supernet.space.decode(supernet.space.largest)
    network = supernet.extract(architecture)
    leaves = {type(module).__module__ for module in network.modules() if not list(module.children())}
    assert all(name.startswith("torch.nn.") for name in leaves)
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in network.parameters())
    batch = images(architecture)
    before = network(batch)
    with torch.no_grad():
        for parameter in supernet.module.parameters():
            parameter.zero_()
    assert torch.equal(network(batch), before)


def test_training_in_place_reaches_exactly_the_shared_weights_in_use() -> None:
    supernet = scramble(tiny())
    supernet.module.train()
    architecture = supernet.space.decode(supernet.space.smallest)
    means = {name: b.clone() for name, b in supernet.module.named_buffers() if name.endswith("running_mean")}
    supernet.forward(images(architecture), architecture).square().sum().backward()
    stem = supernet.module.get_parameter("stem.0.weight").grad
    depthwise = supernet.module.get_parameter("stages.0.0.depthwise.0.weight").grad
    assert stem is not None
    assert depthwise is not None
    assert stem[:4].abs().sum(dim=(1, 2, 3)).min() > 0
    assert stem[4:].abs().max() == 0
    assert depthwise[:4, :, 2:5, 2:5].abs().max() > 0
    assert depthwise[:, :, 0].abs().max() == 0
    assert supernet.module.get_parameter("stages.0.1.expand.0.weight").grad is None
    mean = supernet.module.get_buffer("stem.1.running_mean")
    assert not torch.equal(mean[:4], means["stem.1.running_mean"][:4])
    assert torch.equal(mean[4:], means["stem.1.running_mean"][4:])


@pytest.mark.parametrize(
    "changes", [{}, {"widths": (1.0,), "n_classes": 10, "resolutions": (24, 28, 32), "stem_stride": 2}]
)
def test_costs_are_exact(changes: dict[str, Any]) -> None:
    supernet = tiny(**changes)
    costs = supernet.costs()
    for architecture in architectures(supernet, 50):
        network = supernet.extract(architecture)
        genome = np.array([architecture.genome])
        assert costs["params"](genome).tolist() == [sum(p.numel() for p in network.parameters())]
        assert costs["macs"](genome).tolist() == [counted_macs(network, images(architecture, 1))]
    assert np.issubdtype(costs["macs"](genome).dtype, np.integer)


def test_costs_grow_with_every_gene() -> None:
    supernet = tiny()
    macs = supernet.costs()["macs"]
    largest = supernet.space.largest
    for gene in range(supernet.space.n_genes):
        smaller = largest.copy()
        smaller[gene] -= 1
        assert macs(supernet.space.canonical(smaller[None])) < macs(largest[None])


def test_first_weights_depend_on_the_seed_alone() -> None:
    state = torch.get_rng_state()
    first, second, other = tiny(), tiny(), tiny(seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    for name, tensor in first.module.state_dict().items():
        assert torch.isfinite(tensor.float()).all()
        assert torch.equal(tensor, second.module.state_dict()[name])
    assert not torch.equal(first.module.get_parameter("stem.0.weight"), other.module.get_parameter("stem.0.weight"))


def test_fingerprint_tells_settings_apart() -> None:
    assert tiny().fingerprint == tiny().fingerprint
    assert len({supernet.fingerprint for supernet in (tiny(), tiny(seed=1), tiny(strides=(1, 1, 2)))}) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strides": (1, 2)}, "strides has 2 values; stage_widths has 3"),
        ({"squeeze_excite": (True,)}, "squeeze_excite has 1 values"),
        ({"kernel_sizes": (3, 4)}, r"kernel_sizes must be odd, got \[3, 4\]"),
        ({"widths": (1.0, 0.5)}, "widths must be different numbers in ascending order"),
    ],
)
def test_settings_must_fit(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        tiny(**changes)
