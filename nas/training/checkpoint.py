"""Files of tensors that are never silently used when they are damaged."""

import hashlib
import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from nas.files import write_atomic

_logger = logging.getLogger(__name__)


def save(path: Path, content: Mapping[str, Any]) -> None:
    """Write nested dictionaries and lists of tensors and plain values, with their SHA-256, atomically."""
    write_atomic(path, lambda file: write(file, content))


def write(file: IO[bytes], content: Mapping[str, Any]) -> None:
    """Write to an open file what ``save`` writes."""
    torch.save({"sha256": _digest(content), "content": content}, file)
    file.flush()


def load(path: Path) -> dict[str, Any] | None:
    """Return what ``save`` wrote, on the CPU; ``None``, with a warning, where that is damaged or ``path`` is absent.

    There is no warning for a file that is absent.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        stored = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        content: dict[str, Any] = stored["content"]
        damage = None if stored["sha256"] == _digest(content) else "its content does not match its SHA-256"
    except Exception as error:  # what a damaged file raises depends on where the damage is
        damage = f"it cannot be read ({type(error).__name__})"
    if damage is not None:
        _logger.warning("%s is damaged: %s; it is not used", path, damage)
        return None
    return content


def _digest(value: object) -> str:
    digest = hashlib.sha256()
    _feed(digest, value)
    return digest.hexdigest()


def _feed(digest: "hashlib._Hash", value: object) -> None:
    """Feed a nested value: kind and length first, so that different values never feed the same bytes."""
    if isinstance(value, Mapping):
        digest.update(f"mapping {len(value)};".encode())
        for key, item in value.items():
            _feed(digest, key)
            _feed(digest, item)
    elif isinstance(value, Tensor):
        data = value.detach().cpu().contiguous()
        digest.update(f"tensor {data.dtype} {list(data.shape)};".encode())
        digest.update(data.reshape(-1).view(torch.uint8).numpy().tobytes())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        digest.update(f"sequence {len(value)};".encode())
        for item in value:
            _feed(digest, item)
    else:
        digest.update(f"{type(value).__name__} {value!r};".encode())
