"""Reading of weights from checkpoint files: published ones in all of their layouts, and those of this project."""

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
"""Setting for no checkpoint file: the random initial weights are kept."""

PUBLISHED_CLASSES = 1000
"""Number of classes of published supernets, which were trained on ImageNet."""

WRAPPERS = ("content", "state_dict", "model_state_dict", "model")
"""Keys under which files may hold the state dict beside other content."""

PREFIX = "module."
"""Prefix of every key in files from PyTorch's data-parallel training."""

HOLDERS: list[Any] = [argparse.Namespace, (OrderedDict, "utils.config.AttrDict")]
"""Classes of plain settings in published files that may be loaded, the second one as a dictionary.

Their content is not used.
"""

COUNTER = "num_batches_tracked"
"""Name of batch norm's counter, which files of old PyTorch versions lack. It is not used here."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Published:
    """Published weights on the internet.

    Attributes:
        name: Name of the file in the cache.
        url: Address of the file.
        sha256: SHA-256 digest of the file (hexadecimal digits); ``None`` if unknown.
    """

    name: str
    url: str
    sha256: str | None


@dataclass(frozen=True)
class LoadReport:
    """Result of loading a state dict: which keys were copied.

    Attributes:
        matched: Keys of the copied tensors.
        reset: Keys of classifier tensors with another shape in the file; they keep their initial values.
        missing: Keys that only the module has: keys of the classifier and of batch norm's counters.
        unexpected: Keys that only the file has.
    """

    matched: tuple[str, ...]
    reset: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


def locate(checkpoint: str | None, published: Published, cache: Path) -> Path | None:
    """Return the checkpoint file for a setting; ``None`` for random weights.

    Args:
        checkpoint: Path of a file; ``"random"`` for no file; ``None`` for the published file.
        published: Published file, downloaded if it is selected and not in the cache.
        cache: Folder of the cache, in which published files lie in ``checkpoints/``.

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
    """Read the tensors of a checkpoint by name, onto the CPU; code in the file is never run.

    The file may hold the tensors directly or below a key of ``WRAPPERS``. If all names begin with ``module.``, this
    prefix is removed.

    Raises:
        UserError: If the file is damaged, holds more than tensors and plain values, or holds no state dict.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "weights.pth"
        ...     torch.save({"state_dict": {"module.weight": torch.zeros(2, 3)}}, path)
        ...     state = read_state_dict(path)
        >>> {name: tuple(tensor.shape) for name, tensor in state.items()}
        {'weight': (2, 3)}
    """
    try:
        with torch.serialization.safe_globals(HOLDERS):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"checkpoint '{path}' does not exist") from error
    except Exception as error:  # the type of the exception depends on the place of the damage
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
    """Copy tensors into a module by name; on an error the module stays unchanged.

    Args:
        module: Module that receives the tensors.
        state: Tensors by name.
        head: Names of the classifier's tensors. They may be missing or have another shape, because another data set has
            another number of classes; they then keep their initial values.
        path: Path of the file that holds the tensors, for messages.

    Returns:
        Copied and skipped keys; a summary is logged.

    Raises:
        UserError: If a tensor outside of ``head`` is missing or has another shape.

    Example:
        >>> state = {"weight": torch.ones(2, 3), "bias": torch.ones(5)}
        >>> report = load_into(nn.Linear(3, 2), state, head=("bias",), path=Path("weights.pth"))
        >>> report.matched, report.reset
        (('weight',), ('bias',))
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
    """Return the tensors by name in the content of a file; ``None`` if there are none."""
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
    """Return the SHA-256 digest (hexadecimal digits) of tensors and their names.

    Example:
        >>> weights_digest({"weight": torch.zeros(2)}) == weights_digest({"weight": torch.ones(2)})
        False
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
