"""What tells weights apart."""

import hashlib
from collections.abc import Mapping

from torch import Tensor


def weights_digest(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of tensors and their names, as hexadecimal digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
