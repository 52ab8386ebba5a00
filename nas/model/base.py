"""One model with its weights, and where models come from."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nas.dataset.base import Dataset
from nas.pool.prepared import Crop, Prepared
from nas.pool.timm_models import MultiplyAdds

ARCHITECTURE, NET_CONFIG, TIMM, CASCADE = "architecture", "net_config", "timm", "cascade"
"""The kinds of models."""

MODEL_FILE = "model.json"
"""What makes a folder the folder of a model."""

MILLION = 1e6

Progress = Callable[[int, int, str], None]
"""Told how much is done, of how much, and of what."""


@dataclass(frozen=True)
class Model:
    """A model with its weights.

    Attributes:
        name: short, for example ``"net-flops@150"``.
        network: in eval mode: normalised images, (n, 3, r, r), to logits, (n, c); ``None`` of a cascade.
        ready: in eval mode: pixels scaled to 0..1, (n, 3, height, width), to logits, (n, c); a cascade's returns
            :class:`nas.cascade.module.Routed`.
        described: plain values that ``model.json`` holds. Of every model ``kind``, ``name``, ``n_classes``,
            ``class_names`` (or ``None``), ``costs`` (``flops`` and ``params`` in millions), ``objectives`` and
            ``metrics`` (as far as they are known), ``dataset`` and ``evaluator`` (settings, or ``None``), ``data``
            (:func:`nas.model.given.data_of`, or ``None``) and ``source``. Of all but cascades also ``resolution``,
            ``mean``, ``std``, ``crop`` (see :func:`preparation`) and ``weights``, the digest of the tensors; then what
            the network is built from:

            * ``architecture``: ``supernet`` (settings), ``architecture``, ``genome``
            * ``net_config``: ``net_config``
            * ``timm``: ``timm``, the model's name, and ``version``, timm's
            * ``cascade``: ``rule`` (``average`` or ``gap``), ``limits`` (``None`` for infinity), ``network_costs``
        members: the networks of a cascade, in their order.
    """

    name: str
    network: nn.Module | None
    ready: nn.Module
    described: Mapping[str, Any]
    members: tuple["Model", ...] = ()


class ModelSource(ABC):
    """Where a model is to come from. A constructor finds what is wrong; it trains, runs and writes nothing.

    Attributes:
        name: of the model.
        n_classes: outputs.
        class_names: one an output; ``None`` where they are unknown.
        home: the folder of the run or model, into which results about it belong; ``None`` where it has none.
        is_cascade: whether the model is a cascade of networks.
    """

    name: str
    n_classes: int
    class_names: tuple[str, ...] | None = None
    home: Path | None = None
    is_cascade: bool = False

    @abstractmethod
    def dataset(self) -> Dataset | None:
        """Return the images that the model was made for; ``None`` where nothing is known about them."""

    @abstractmethod
    def load(self, progress: Progress) -> Model:
        """Return the model."""


def silent(done: int, total: int, activity: str) -> None:
    """Tell nobody."""


def preparation(network: nn.Module, described: Mapping[str, Any]) -> Prepared:
    """Return a network behind the changes of its images that ``model.json`` describes.

    ``crop`` is the share of the sides that is kept, in the centre, before images are resized; or ``mode`` and ``side``
    of :class:`nas.pool.prepared.Crop`.
    """
    crop = described["crop"]
    return Prepared(
        network,
        mean=_three(described["mean"]),
        std=_three(described["std"]),
        resolution=int(described["resolution"]),
        crop=Crop(mode=crop["mode"], side=int(crop["side"])) if isinstance(crop, Mapping) else float(crop),
    )


@torch.no_grad()
def counted(network: nn.Module, resolution: int) -> dict[str, float]:
    """Return ``flops``, multiply-adds of convolutions and linear layers for one image, and ``params``, in millions."""
    device: torch.device | str = next((tensor.device for tensor in network.parameters()), torch.device("cpu"))
    image: Tensor = torch.zeros(1, 3, resolution, resolution, device=device)
    with MultiplyAdds() as counter:
        network(image)
    params = sum(parameter.numel() for parameter in network.parameters())
    return {"flops": counter.total / MILLION, "params": params / MILLION}


def _three(values: Any) -> tuple[float, float, float]:
    first, second, third = map(float, values)
    return first, second, third
