"""Where a task computes."""

import re

import torch

from nas.errors import UserError


def torch_device(name: str) -> str:
    """Return the device that ``device=`` names; UserError if it is not there."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise UserError(f"device={name} is unknown; choices: auto, cpu, cuda, cuda:<n>")
    if name.startswith("cuda"):
        index = int(name.partition(":")[2] or 0)
        if index >= torch.cuda.device_count():
            raise UserError(
                f"device={name} is not there: {torch.cuda.device_count()} CUDA devices found; use device=cpu"
            )
    return name
