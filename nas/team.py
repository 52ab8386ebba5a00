"""Teams of processes that train one network together, each on its part of every batch, with identical weights."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor, distributed
from torch.overrides import TorchFunctionMode


@final
class Team:
    """One process's view of its team for distributed training.

    Gradients are summed over the team, and batch norm statistics are those of the whole batch. The result therefore
    equals that of one process with the same batches up to rounding. Dropout is an exception: its random numbers differ.

    Attributes:
        rank: Rank of this process, 0 to ``size - 1``; rank 0 decides.
        size: Number of processes in the team.

    Example:
        >>> from nas.team import Team
        >>> [Team(rank, 3).part(8) for rank in range(3)]
        [slice(0, 2, None), slice(2, 5, None), slice(5, 8, None)]
    """

    def __init__(self, rank: int, size: int) -> None:
        """Describe one process of a team; use :func:`join` to form a team of more than one process.

        Args:
            rank: Rank of this process, 0 to ``size - 1``.
            size: Number of processes in the team.
        """
        self.rank = rank
        self.size = size

    def part(self, n: int) -> slice:
        """Return the rows of a batch of ``n`` that this process computes; parts differ by at most one row."""
        return slice(self.rank * n // self.size, (self.rank + 1) * n // self.size)

    def gather(self, part: Tensor) -> Tensor:
        """Return a whole batch from the parts of all processes.

        Args:
            part: Rows of this process, in host memory.
        """
        if self.size == 1:
            return part
        parts: list[Any] = [None] * self.size
        distributed.all_gather_object(parts, part)
        return torch.cat(parts)

    def sum_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Sum gradients over the team in place; all processes must have gradients of the same parameters."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if self.size == 1 or not gradients:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        start = 0
        for gradient in gradients:
            gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()

    @contextmanager
    def synchronised(self) -> Iterator[None]:
        """Use the statistics of the whole batch in all batch norm layers in training mode."""
        if self.size == 1:
            yield
            return
        with _WholeBatchNorm():
            yield


ALONE = Team(0, 1)
"""Team of a single process."""


def join(rank: int, size: int, address: str, device: torch.device) -> Team:
    """Form a team of processes; returns when all processes have joined.

    Args:
        rank: Rank of this process, 0 to ``size - 1``.
        size: Number of processes in the team.
        address: Rendezvous address: ``"file:///..."`` with a path that does not exist yet, or ``"tcp://host:port"``.
        device: Torch device of this process. NCCL connects GPUs, gloo all other devices.
    """
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group(backend, init_method=address, rank=rank, world_size=size)
    return Team(rank, size)


def leave() -> None:
    """Leave the team of this process."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


class _Sum(torch.autograd.Function):
    """Differentiable sum of a tensor over the team."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        result = tensor.clone()
        distributed.all_reduce(result)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        result = gradients[0].clone()
        distributed.all_reduce(result)
        return result


class _WholeBatchNorm(TorchFunctionMode):
    """Replaces batch norm in training mode, in any module, by batch norm over the whole team's batch."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.nn.functional.batch_norm:
            return _batch_norm(*args, **kwargs)
        return func(*args, **kwargs)


def _batch_norm(  # noqa: PLR0917
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize (n, c, ...) over the team's batch, with the arguments of ``torch.nn.functional.batch_norm``."""
    if not training:
        return torch.batch_norm(input, weight, bias, running_mean, running_var, False, momentum, eps, False)
    axes = [axis for axis in range(input.ndim) if axis != 1]
    shape = [1, -1] + [1] * (input.ndim - 2)
    x = input.float()
    local = x.new_tensor([input.numel() / input.shape[1]])
    totals: Tensor = _Sum.apply(torch.cat([x.sum(axes), local]))
    count = totals[-1].detach()
    mean = totals[:-1] / count
    centred = x - mean.view(shape)
    variance: Tensor = _Sum.apply((centred * centred).sum(axes)) / count
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.lerp_((variance * count / (count - 1)).to(running_var.dtype), momentum)
    result = centred * torch.rsqrt(variance + eps).view(shape)
    if weight is not None:
        result = result * weight.view(shape)
    if bias is not None:
        result = result + bias.view(shape)
    return result.to(input.dtype)
