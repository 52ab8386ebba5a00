"""Mixed precision of networks on a GPU."""

import torch

AMPERE = 8  # the first generation of GPUs, by its compute capability, that has bfloat16


def mixed(device: torch.device, wanted: bool) -> torch.autocast:
    """Return a context in which networks compute in half precision: bfloat16 where the GPU has it, else float16.

    Args:
        device: Torch device of the computation; the CPU stays in single precision, which is faster there.
        wanted: Whether to do so at all.
    """
    enabled = wanted and device.type == "cuda"
    return torch.autocast(device.type, dtype=half_precision(device) if enabled else None, enabled=enabled)


def half_precision(device: torch.device) -> torch.dtype:
    """Return the type of half precision that a GPU computes quickly in: older ones only emulate bfloat16."""
    return torch.bfloat16 if torch.cuda.get_device_capability(device)[0] >= AMPERE else torch.float16


def gradient_scaler(device: torch.device, wanted: bool) -> torch.amp.GradScaler:
    """Return what scales losses so that gradients survive float16; it does nothing with other types.

    Args:
        device: Torch device of the networks.
        wanted: Whether mixed precision is.
    """
    halved = wanted and device.type == "cuda" and half_precision(device) is torch.float16
    return torch.amp.GradScaler(device.type, enabled=halved)
