"""Multiply-adds of any network, counted while it runs."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, final

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

COUNTED = frozenset({functional.linear, functional.conv1d, functional.conv2d, functional.conv3d})


@final
class MultiplyAdds(TorchFunctionMode):
    """Counts the multiply-adds of convolutions and linear layers that run inside ``with``, in this thread.

    They are counted where they are computed, so that a layer counts however a network calls it. Products of two
    activations, as in attention, are not counted.

    Attributes:
        total: multiply-adds of all images together.
    """

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        self.total = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[Any],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in COUNTED:
            weight = args[1] if len(args) > 1 else (kwargs or {})["weight"]
            assert isinstance(result, torch.Tensor)
            self.total += result.numel() * weight[0].numel()
        return result
