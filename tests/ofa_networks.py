"""Checks that all supernets of the package ``ofa`` share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nas.supernet.base import Supernet
from nas.types import Architecture

torch.set_num_threads(1)  # with tensors as small as these, more threads only cost time

SETTINGS: dict[str, Any] = {
    "n_classes": 10,
    "cache": Path("there is no cache"),
    "resolutions": (32, 43),
    "checkpoint": "random",
    "dropout": 0.0,
    "drop_path": 0.0,
    "gradient_checkpointing": False,
    "seed": 0,
}

MOBILE = {"ks_list": [3, 5, 7], "expand_ratio_list": [3, 4, 6], "depth_list": [2, 3, 4]}
"""What the package's constructors of mobile networks take for the published weights."""


def scramble(module: nn.Module, seed: int = 1) -> None:
    """Give every tensor values that matter: the first batch-norms and kernel transformations would hide differences."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if not tensor.is_floating_point():
            continue
        noise = torch.randn(tensor.shape, generator=generator)
        if name.endswith("running_var"):
            tensor.copy_(0.5 * noise.abs() + 0.75)
        elif name.endswith("matrix"):
            tensor.copy_(torch.eye(len(tensor)) + 0.1 * noise)
        elif tensor.ndim == 1:
            tensor.copy_(0.1 * noise + (1.0 if name.endswith("weight") else 0.0))
        else:
            tensor.copy_(noise * (2 / tensor[0].numel()) ** 0.5)


def architectures(supernet: Supernet, n: int) -> list[Architecture]:
    """Return the smallest, the largest, and ``n - 2`` random architectures."""
    space = supernet.space
    genomes = [space.smallest, space.largest, *space.sample(n - 2, np.random.default_rng(0))]
    return [space.decode(genome) for genome in genomes]


def images(architecture: Architecture, n: int = 2) -> Tensor:
    side = architecture.config["r"]
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def counted(network: nn.Module, batch: Tensor) -> tuple[Tensor, int, int]:
    """Return the logits, the multiply-adds of an image as hooks count them, and the number of parameters."""
    macs = 0

    def count(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal macs
        weight = module.weight
        assert isinstance(weight, Tensor)
        macs += output[0].numel() * weight[0].numel()

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    logits: Tensor = network(batch)
    for hook in hooks:
        hook.remove()
    return logits, macs, sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()
def check_architectures(
    supernet: Supernet, reference: Callable[[Architecture], nn.Module], *, n: int, n_in_place: int, n_reference: int
) -> None:
    """Compare logits and costs.

    Args:
        supernet: its weights are overwritten.
        reference: builds the package's own network of an architecture, with the supernet's weights.
        n: architectures, of which costs are compared with counts by hooks.
        n_in_place: of these, extracted networks that are compared with the supernet.
        n_reference: of these, extracted networks that are compared with the package's own.
    """
    scramble(supernet.module)
    costs = supernet.costs()
    for i, architecture in enumerate(architectures(supernet, n)):
        batch = images(architecture)
        network = supernet.extract(architecture)
        assert not network.training
        logits, macs, params = counted(network, batch)
        assert torch.isfinite(logits).all()
        assert logits.std() > 1e-3
        genome = np.array([architecture.genome])
        assert (costs["macs"](genome)[0], costs["params"](genome)[0]) == (macs, params)
        if i < n_in_place:
            torch.testing.assert_close(supernet.forward(batch, architecture), logits, rtol=0, atol=1e-5 * logits.std())
        if i < n_reference:
            expected = reference(architecture).eval()(batch)
            torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5 * expected.std())


def check_independence(supernet: Supernet) -> None:
    """Check that extracted networks are copies, and that extraction leaves torch's random state alone."""
    before = {name: tensor.clone() for name, tensor in supernet.module.state_dict().items()}
    architecture = supernet.space.decode(supernet.space.largest)
    state = torch.random.get_rng_state()
    network = supernet.extract(architecture)
    assert torch.equal(torch.random.get_rng_state(), state)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.fill_(1)
    assert all(parameter.requires_grad for parameter in network.parameters())
    after = supernet.module.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def check_fine_tuning(make: Callable[..., Supernet]) -> None:
    """Check that dropout, stochastic depth and gradient checkpointing do what they say, in place and cut out."""
    plain, dropped = make(), make(drop_path=0.9)
    checkpointed, with_dropout = make(gradient_checkpointing=True), make(dropout=0.5)
    for supernet in (plain, dropped, checkpointed, with_dropout):
        scramble(supernet.module)
        assert list(supernet.module.state_dict()) == list(plain.module.state_dict())
    architecture = plain.space.decode(plain.space.smallest)
    batch = images(architecture, 4)
    for supernet in (dropped, with_dropout):
        for network, run in _both(supernet, architecture, batch):
            network.eval()
            torch.testing.assert_close(run(), plain.extract(architecture)(batch))
            network.train()
            assert not torch.equal(run(), run())
    for (network, run), (other, other_run) in zip(
        _both(plain, architecture, batch), _both(checkpointed, architecture, batch), strict=True
    ):
        losses = []
        for module, compute in ((network, run), (other, other_run)):
            module.train()
            losses.append(compute().square().mean())
            torch.autograd.backward(losses[-1])
        assert torch.equal(*losses)
        for (name, one), two in zip(network.named_parameters(), other.parameters(), strict=True):
            assert (one.grad is None) == (two.grad is None), name
            if one.grad is not None and two.grad is not None:
                torch.testing.assert_close(one.grad, two.grad)
        statistics = [[b for k, b in m.named_buffers() if "running" in k] for m in (network, other)]
        for one, two in zip(*statistics, strict=True):
            torch.testing.assert_close(one, two)


def _both(
    supernet: Supernet, architecture: Architecture, batch: Tensor
) -> list[tuple[nn.Module, Callable[[], Tensor]]]:
    network = supernet.extract(architecture)
    return [
        (network, lambda: network(batch)),
        (supernet.module, lambda: supernet.forward(batch, architecture)),
    ]


def padded(values: list[int], depths: list[int], sizes: list[int]) -> list[int]:
    """Return one value a layer of the whole network; absent layers repeat the last one."""
    result: list[int] = []
    start = 0
    for depth, size in zip(depths, sizes, strict=True):
        stage = values[start : start + depth]
        result += stage + stage[-1:] * (size - depth)
        start += depth
    return result
