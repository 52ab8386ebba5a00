"""Subnets whose tensors are slices of the tensors with the same names in a larger network."""

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
    """Return a view of ``tensor`` with this shape: the first channels and the center of the kernels.

    Example:
        >>> cut(torch.arange(25.0).reshape(1, 1, 5, 5), torch.Size([1, 1, 3, 3])).flatten().tolist()
        [6.0, 7.0, 8.0, 11.0, 12.0, 13.0, 16.0, 17.0, 18.0]
    """
    for axis, size in enumerate(shape):
        if tensor.shape[axis] != size:
            start = (tensor.shape[axis] - size) // 2 if axis >= KERNEL_AXES else 0
            tensor = tensor.narrow(axis, start, size)
    return tensor


def tensors_of(supernet: nn.Module, subnet: nn.Module) -> dict[str, Tensor]:
    """Return the subnet's parameters and buffers by name, as views of the supernet's tensors.

    Args:
        supernet: Network of the largest architecture.
        subnet: Network with the same module names and smaller shapes; only its shapes are read.
    """
    shared: Mapping[str, Tensor] = supernet.state_dict(keep_vars=True)
    return {name: cut(shared[name], tensor.shape) for name, tensor in subnet.state_dict(keep_vars=True).items()}


def load_cut(subnet: nn.Module, supernet: nn.Module) -> None:
    """Copy the subnet's part of the supernet's tensors into the subnet, which may be on the meta device."""
    parts = tensors_of(supernet, subnet)
    subnet.load_state_dict({name: part.detach().clone() for name, part in parts.items()}, assign=True)


def bind(subnet: nn.Module, supernet: nn.Module) -> None:
    """Replace the subnet's tensors by views of the supernet's tensors.

    Gradients and batch norm statistics then reach the supernet, also if the backward pass recomputes parts of the
    forward pass. The subnet may be on the meta device.
    """
    for name, part in tensors_of(supernet, subnet).items():
        path, _, attribute = name.rpartition(".")
        module = subnet.get_submodule(path)
        if attribute in dict(module.named_parameters(recurse=False)):
            delattr(module, attribute)  # a view cannot be registered as a parameter
        setattr(module, attribute, part)


LAYERS = ("InvertedResidual", "ResidualBottleneck", "ResidualBlock", "ResNetBottleneckBlock")
"""Class names of the layers in the stages of supernets; names, because the package ``ofa`` is optional."""


def layers(network: nn.Module, n: int) -> list[nn.Module]:
    """Return the last ``n`` layers of a network in the order of execution.

    Earlier layers belong to the part that every network of the supernet starts with.
    """
    return [module for module in network.modules() if type(module).__name__ in LAYERS][-n:]


def on_cpu(network: nn.Module) -> nn.Module:
    """Give the tensors of a network on the device ``"meta"`` memory on the CPU, not initialized; return the network.

    ``nn.Module.to_empty`` does the same but imports half a second of torch's symbolic shapes.
    """
    found: nn.Module = network._apply(lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype))  # type: ignore[no-untyped-call]
    return found


class ElasticSupernet(Supernet):
    """Base class for supernets whose subnets use slices of one network's tensors.

    ``module`` is the network of the largest architecture.

    Example:
        >>> from nas.supernet.tiny import Tiny
        >>> issubclass(Tiny, ElasticSupernet)
        True
    """

    @abstractmethod
    def _on_meta(self, architecture: Architecture) -> nn.Module:
        """Return the network of an architecture on the meta device, without memory for its tensors."""

    @abstractmethod
    def _table(self, cost: Callable[[Any, int], int]) -> AdditiveTable:
        """Return a cost table; ``cost`` maps a part of the network and the side of its input to the part's cost."""

    def extract(self, architecture: Architecture) -> nn.Module:
        """Return a standalone network of the architecture, in eval mode, with copies of its weights."""
        subnet = self._on_meta(architecture)
        load_cut(subnet, self.module)
        return subnet.eval()

    def _cost_tables(self) -> Mapping[str, CostTable]:
        """Return the exact tables ``"macs"`` and ``"params"``, computed from the layouts."""
        return {
            "macs": self._table(lambda part, side: part.macs(side)),
            "params": self._table(lambda part, side: part.params),
        }


def check_stages(what: str, stages: Sequence[object], per_stage: Mapping[str, Sequence[object]]) -> None:
    """Raise UserError if a setting in ``per_stage`` does not have one value for each stage.

    Args:
        what: Name of the setting that lists the stages, for the message.
        stages: Value of that setting; its length is the number of stages.
        per_stage: Values of the checked settings by name.
    """
    for name, values in per_stage.items():
        if len(values) != len(stages):
            raise UserError(f"{name} has {len(values)} values; {what} has {len(stages)}, one a stage")
