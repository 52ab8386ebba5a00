"""Weights from files: the published ones, in each of their layouts, and our own."""

import argparse
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nas.download import download
from nas.errors import UserError
from nas.files import expanded

RANDOM = "random"
"""The word for no file at all: the first weights are kept."""

PUBLISHED_CLASSES = 1000
"""Outputs of published supernets: they were trained on ImageNet."""

WRAPPERS = ("content", "state_dict", "model_state_dict", "model")
"""Keys under which files hold a state dict beside other things."""

PREFIX = "module."
"""Put before every key by PyTorch's data-parallel training."""

HOLDERS: list[Any] = [argparse.Namespace, (OrderedDict, "utils.config.AttrDict")]
"""Plain holders of settings in published files that are read as well, the second as a dictionary; it is unused."""

COUNTER = "num_batches_tracked"
"""Batch-norm's counter, which files of old versions of PyTorch lack and nothing here reads."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Published:
    """Weights on the internet.

    Attributes:
        name: The file's name in the cache.
        url: Address of the file.
        sha256: Its hash as hexadecimal digits; ``None`` where that is not known.
    """

    name: str
    url: str
    sha256: str | None


@dataclass(frozen=True)
class LoadReport:
    """What became of each key.

    Attributes:
        matched: Copied.
        reset: Tensors of the classifier whose shape in the file differs; left as initialized.
        missing: In the module alone, which only the classifier's keys and batch-norm's counters may be.
        unexpected: In the file alone.
    """

    matched: tuple[str, ...]
    reset: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


def locate(checkpoint: str | None, published: Published, cache: Path) -> Path | None:
    """Return the file that a setting means.

    Args:
        checkpoint: A path; ``"random"`` for no file; ``None`` for the published one.
        published: Downloaded if it is asked for and not in the cache.
        cache: The published file is kept in its folder ``checkpoints``.

    Raises:
        UserError: If the file does not exist or cannot be downloaded.
    """
    if checkpoint == RANDOM:
        return None
    if checkpoint is None:
        return download(published.url, cache / "checkpoints" / published.name, published.sha256)
    path = expanded(checkpoint, "checkpoint")
    if not path.is_file():
        raise UserError(
            f"checkpoint '{path}' {'is not a file' if path.exists() else 'does not exist'}; give a file, "
            f"null for the published weights, or {RANDOM}"
        )
    return path


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read tensors by name, on the CPU; no code that a file may hold is run.

    Files may hold them directly or below a key of ``WRAPPERS``, and all names may begin with ``module.``.

    Raises:
        UserError: If the file is damaged, holds more than tensors and plain values, or holds no state dict.
    """
    try:
        with torch.serialization.safe_globals(HOLDERS):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"checkpoint '{path}' does not exist") from error
    except Exception as error:  # what a damaged file raises depends on where the damage is
        raise UserError(
            f"checkpoint '{path}' cannot be read ({type(error).__name__}): it is damaged, or is no file of tensors; "
            "remove it to have it downloaded again, or give another one"
        ) from error
    state = _unwrap(content)
    if state is None:
        kind = f"the keys {', '.join(map(str, content))}"[:100] if isinstance(content, Mapping) else type(content)
        raise UserError(f"checkpoint '{path}' holds no state dict, neither directly nor as {WRAPPERS[1]}, but {kind}")
    if all(key.startswith(PREFIX) for key in state):
        return {key.removeprefix(PREFIX): value for key, value in state.items()}
    return state


def load_into(module: nn.Module, state: Mapping[str, Tensor], *, head: tuple[str, ...], path: Path) -> LoadReport:
    """Copy tensors into a module; it is left as it was if that fails.

    Args:
        module: In which they go by name.
        state: Tensors by name.
        head: Names of the classifier's tensors, which may be missing or have another shape: another data set has
            other classes. They are left as they were initialized then.
        path: The file they are from, for messages.

    Returns:
        What became of each key; a line of it is logged.

    Raises:
        UserError: If another tensor is missing or has another shape.
    """
    own = module.state_dict()
    missing = tuple(key for key in own if key not in state)
    reset = tuple(key for key in head if key in own and key in state and own[key].shape != state[key].shape)
    unexpected = tuple(key for key in state if key not in own)
    for key, value in own.items():
        if key in head or (key in missing and key.rpartition(".")[2] == COUNTER):
            continue
        if key in missing:
            raise UserError(f"checkpoint '{path}' does not fit: it lacks '{key}', shape {_shape(value)}")
        if value.shape != state[key].shape:
            raise UserError(
                f"checkpoint '{path}' does not fit: '{key}' has the shape {_shape(state[key])}, "
                f"but must have {_shape(value)}"
            )
    matched = tuple(key for key in own if key not in missing and key not in reset)
    module.load_state_dict({key: state[key] for key in matched}, strict=False)
    report = LoadReport(matched=matched, reset=reset, missing=missing, unexpected=unexpected)
    _log(report, head, path)
    return report


def _unwrap(content: object) -> dict[str, Tensor] | None:
    """Return the tensors by name in what was read from a file; ``None`` where there are none."""
    while isinstance(content, Mapping) and content:
        if all(isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()):
            return dict(content)
        content = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
    return None


def _log(report: LoadReport, head: tuple[str, ...], path: Path) -> None:
    logger.info("%s: %d tensors loaded", path, len(report.matched))
    initial = (*report.reset, *(key for key in report.missing if key in head))
    if initial:
        logger.warning("%s: not loaded, because the classifier has another size: %s", path, ", ".join(initial))
    if report.unexpected:
        logger.warning("%s: %d tensors not used, first: %s", path, len(report.unexpected), report.unexpected[0])


def _shape(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "of a single number"


def weights_digest(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of tensors and their names, as hexadecimal digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
