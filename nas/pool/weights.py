"""Hashes of what decides a model's outputs."""

import hashlib
import inspect
from types import ModuleType

from torch import nn


def weights_digest(module: nn.Module) -> str:
    """Return the SHA-256 of all tensors of a module and their names, as hexadecimal digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def source_digest(*modules: ModuleType) -> str:
    """Return the SHA-256 of modules' source, as hexadecimal digits."""
    return hashlib.sha256("".join(inspect.getsource(module) for module in modules).encode()).hexdigest()
