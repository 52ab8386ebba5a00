"""Copies of what a training goes on from."""

from typing import Any

from torch import Tensor


def copied(value: Any) -> Any:
    """Return nested dictionaries and lists with copies, in host memory, of their tensors."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    return value.detach().to("cpu", copy=True) if isinstance(value, Tensor) else value
