"""Evolutionary multi-objective neural architecture search on weight-sharing supernets."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import nn

__version__ = "0.1.0"


def load(
    path: "str | Path", arch: "str | int" = "best", device: str = "cpu", allow: "Sequence[str]" = ()
) -> "nn.Module":
    """Return a model as a network in eval mode.

    It takes images, (n, 3, height, width), pixels scaled to 0..1, which it resizes and normalises itself, and returns
    logits, (n, classes); a cascade returns :class:`nas.cascade.module.Routed`, with probabilities and
    predictions.

    Args:
        path: folder that ``task=select`` or ``task=finetune`` wrote, or folder of a finished run.
        arch: of a run: the index of a member in ``front.json``, or the most accurate one.
        device: where the network is, for example ``"cuda"``.
        allow: packages of your own whose classes the folder may name, for example ``["acme"]``; their code is run.

    Raises:
        nas.errors.UserError: if there is no such model.
    """
    from nas.model.find import loaded

    model: Any = loaded(path, arch, device, allow)
    network: nn.Module = model.ready
    return network
