"""Mixed precision of networks on a GPU."""

import torch


def mixed(device: torch.device, wanted: bool) -> torch.autocast:
    """Return a context in which networks compute in half precision: bfloat16 where the GPU has it, else float16.

    Args:
        device: where they compute; the CPU stays in single precision, in which it is quicker.
        wanted: whether to do so at all.
    """
    enabled = wanted and device.type == "cuda"
    return torch.autocast(device.type, dtype=half_precision() if enabled else None, enabled=enabled)


def half_precision() -> torch.dtype:
    """Return the type of half precision that the GPU computes quickly in."""
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
