"""Mixed precision on a GPU."""

import torch

AMPERE = 8  # compute capability of the first GPU generation with bfloat16


def mixed(device: torch.device, wanted: bool) -> torch.autocast:
    """Return an autocast context for half precision: bfloat16 if the GPU supports it, else float16.

    Args:
        device: Torch device of the computation. The CPU always computes in single precision, which is faster there.
        wanted: Whether to use mixed precision; if False, the context changes nothing.

    Example:
        >>> with mixed(torch.device("cpu"), wanted=True):
        ...     print((torch.ones(2, 2) @ torch.ones(2, 2)).dtype)
        torch.float32
    """
    enabled = wanted and device.type == "cuda"
    return torch.autocast(device.type, dtype=half_precision(device) if enabled else None, enabled=enabled)


def half_precision(device: torch.device) -> torch.dtype:
    """Return the fast half-precision type of a GPU: bfloat16, or float16 on older GPUs, which only emulate bfloat16."""
    return torch.bfloat16 if torch.cuda.get_device_capability(device)[0] >= AMPERE else torch.float16


def gradient_scaler(device: torch.device, wanted: bool) -> torch.amp.GradScaler:
    """Return a gradient scaler, which keeps small gradients from vanishing in float16; disabled for other types.

    Args:
        device: Torch device of the networks.
        wanted: Whether mixed precision is used.
    """
    halved = wanted and device.type == "cuda" and half_precision(device) is torch.float16
    return torch.amp.GradScaler(device.type, enabled=halved)
