"""Checkpoint files with a SHA-256, so that damage is detected on loading."""

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
    """Write nested dictionaries and lists of tensors and plain values, with their SHA-256, in an atomic write.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import torch
        >>> from nas.training import checkpoint
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     checkpoint.save(Path(folder) / "last.pt", {"epoch": 3, "weights": {"bias": torch.zeros(2)}})
        ...     checkpoint.load(Path(folder) / "last.pt")
        {'epoch': 3, 'weights': {'bias': tensor([0., 0.])}}
    """
    write_atomic(path, lambda file: write(file, content))


def write(file: IO[bytes], content: Mapping[str, Any]) -> None:
    """Write the content in the format of :func:`save` to an open file."""
    torch.save({"sha256": _digest(content), "content": content}, file)
    file.flush()


def load(path: Path) -> dict[str, Any] | None:
    """Return the content that :func:`save` wrote, with tensors on the CPU; ``None`` if it is absent or damaged.

    A damaged file is logged as a warning, an absent one is not.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        stored = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        content: dict[str, Any] = stored["content"]
        damage = None if stored["sha256"] == _digest(content) else "its content does not match its SHA-256"
    except Exception as error:  # the type of the error depends on the place of the damage
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
    """Add a nested value to the digest; type and length come first, so that different values give different bytes."""
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
