"""Subnets whose tensors are parts of a larger network's tensors of the same names."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nas.errors import UserError
from nas.space.table import AdditiveTable, CostTable
from nas.supernet.base import Supernet
from nas.types import Architecture

KERNEL_AXES = 2  # a convolution's weight has shape (outputs, inputs, height, width)


def cut(tensor: Tensor, shape: torch.Size) -> Tensor:
    """Return the view of ``tensor`` with this shape: the first channels, the centre of kernels."""
    for axis, size in enumerate(shape):
        if tensor.shape[axis] != size:
            start = (tensor.shape[axis] - size) // 2 if axis >= KERNEL_AXES else 0
            tensor = tensor.narrow(axis, start, size)
    return tensor


def tensors_of(supernet: nn.Module, subnet: nn.Module) -> dict[str, Tensor]:
    """Return the subnet's parameters and buffers by name, as views of the supernet's.

    Args:
        supernet: The network of the largest architecture.
        subnet: A network with the same names of modules and smaller shapes; only the shapes are read.
    """
    shared: Mapping[str, Tensor] = supernet.state_dict(keep_vars=True)
    return {name: cut(shared[name], tensor.shape) for name, tensor in subnet.state_dict(keep_vars=True).items()}


def load_cut(subnet: nn.Module, supernet: nn.Module) -> None:
    """Give the subnet, whose own tensors may be on the meta device, copies of its part of the supernet's."""
    parts = tensors_of(supernet, subnet)
    subnet.load_state_dict({name: part.detach().clone() for name, part in parts.items()}, assign=True)


def bind(subnet: nn.Module, supernet: nn.Module) -> None:
    """Make the subnet compute with its part of the supernet's tensors themselves, for as long as it lives.

    Gradients and batch-norm statistics reach the supernet, also where a backward pass computes parts of the forward
    pass again. The subnet's own tensors may be on the meta device.
    """
    for name, part in tensors_of(supernet, subnet).items():
        path, _, attribute = name.rpartition(".")
        module = subnet.get_submodule(path)
        if attribute in dict(module.named_parameters(recurse=False)):
            delattr(module, attribute)  # a part is no parameter of its own
        setattr(module, attribute, part)


LAYERS = ("InvertedResidual", "ResidualBottleneck", "ResidualBlock", "ResNetBottleneckBlock")
"""Class names of the modules that supernets stack in their stages; by name, because ofa's are an optional package."""


def layers(network: nn.Module, n: int) -> list[nn.Module]:
    """Return a network's last ``n`` layers in the order in which they run.

    Layers before those belong to what every network of the supernet starts with.
    """
    return [module for module in network.modules() if type(module).__name__ in LAYERS][-n:]


class ElasticSupernet(Supernet):
    """Supernets whose subnets' tensors are parts of those of ``module``, the network of the largest architecture."""

    @abstractmethod
    def _on_meta(self, architecture: Architecture) -> nn.Module:
        """Return the network of an architecture without memory for its tensors."""

    @abstractmethod
    def _table(self, cost: Callable[[Any, int], int]) -> AdditiveTable:
        """Return the table of a cost, which is a part's, for the side of its input."""

    def extract(self, architecture: Architecture) -> nn.Module:
        """Return a standalone network of the architecture, in eval mode, with copies of its weights."""
        subnet = self._on_meta(architecture)
        load_cut(subnet, self.module)
        return subnet.eval()

    def _cost_tables(self) -> Mapping[str, CostTable]:
        """Return the tables of ``"macs"`` and ``"params"``: exact, computed from the layouts."""
        return {
            "macs": self._table(lambda part, side: part.macs(side)),
            "params": self._table(lambda part, side: part.params),
        }


def check_stages(what: str, stages: Sequence[object], per_stage: Mapping[str, Sequence[object]]) -> None:
    """Raise UserError unless settings have one value for each of the stages, which the setting ``what`` lists."""
    for name, values in per_stage.items():
        if len(values) != len(stages):
            raise UserError(f"{name} has {len(values)} values; {what} has {len(stages)}, one a stage")
