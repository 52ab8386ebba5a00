"""Models of the package timm: their names, weights and preprocessing."""

import math
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, final

import numpy as np
import timm
import torch
from PIL import Image
from timm.data.config import resolve_data_config
from timm.data.transforms_factory import create_transform
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from nas.dataset.base import Images
from nas.dataset.file_rows import FileRows
from nas.dataset.per_image import seeded
from nas.errors import UserError, nearest
from nas.files import expanded, file_digest
from nas.pool.prepared import Crop, Prepared
from nas.seeding import short_seed
from nas.supernet.checkpoint import read_state_dict
from nas.types import MILLION

PUBLISHED = "published"
"""Value of ``models`` that selects the models that ENCAS was applied to."""

HUB, RANDOM = "hub", "random"
"""Values of ``weights`` for weights that timm downloads, and for random weights."""

ENDINGS = (".safetensors", ".pth", ".pt", ".bin")

FULL_DETAIL = 2**20
"""Requested side, in pixels, that gives the full detail of an image file."""

_making = threading.Lock()  # initial weights come from torch's global generator


def model_names(wanted: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of the selected models, without repetitions, in order.

    Args:
        wanted: ``"published"``, or names and patterns with ``*``, ``?`` or ``[]``. A name may end in the tag of its
            weights, as in ``"resnet18.a1_in1k"``. A pattern with a dot matches names with tags.

    Raises:
        UserError: If timm does not know a name or pattern. The published names are returned without this check.

    Example:
        >>> from nas.pool.timm_models import model_names
        >>> model_names(["resnet18", "efficientnet_lite[01]"])
        ('resnet18', 'efficientnet_lite0', 'efficientnet_lite1')
        >>> len(model_names("published"))
        518
    """
    if isinstance(wanted, str):
        if wanted != PUBLISHED:
            raise UserError(f"pool.models={wanted} is wrong: give a list of names and patterns, or {PUBLISHED}")
        lines = files("nas.pool").joinpath("timm_published.txt").read_text().splitlines()
        return tuple(line for line in lines if line and not line.startswith("#"))
    found: list[str] = []
    for name in wanted:
        if any(letter in name for letter in "*?["):
            matching = timm.list_models(name, pretrained="." in name)
            if not matching:
                raise UserError(f"pool.models: no model of timm {timm.__version__} matches '{name}'")
            found += matching
        elif timm.is_model(name):
            found.append(name)
        else:
            raise UserError(f"pool.models: timm {timm.__version__} has no '{name}'{nearest(name, timm.list_models())}")
    if not found:
        raise UserError(f"pool.models is empty; give names or patterns of timm's models, or {PUBLISHED}")
    return tuple(dict.fromkeys(found))


def weights_identity(name: str, weights: str, seed: int) -> dict[str, Any]:
    """Return plain values that determine the weights of a model.

    Args:
        name: Name of the timm model.
        weights: Source of the weights: ``"hub"``, ``"random"``, or the path of a file or folder.
        seed: Random seed of random weights.

    Raises:
        UserError: If the file with the weights does not exist.
    """
    known = {"model": name, "timm": timm.__version__, "torch": torch.__version__}
    if weights == HUB:
        return known | {"weights": HUB}  # timm chooses the file; its hash is stored with the outputs
    if weights == RANDOM:
        return known | {"weights": RANDOM, "seed": seed}
    return known | {"weights": file_digest(weights_file(name, weights))}


def weights_file(name: str, weights: str) -> Path:
    """Return the file with a model's weights.

    Args:
        name: Name of the timm model.
        weights: Path of the file itself, or of a folder that contains a file with the model's name.

    Raises:
        UserError: If there is no such file.
    """
    place = expanded(weights, "pool.weights")
    if place.is_file():
        return place
    for ending in ENDINGS:
        if (place / f"{name}{ending}").is_file():
            return place / f"{name}{ending}"
    raise UserError(f"no weights of it: '{place}' is no file, and no folder with {name}{'|'.join(ENDINGS)}")


def make_model(name: str, weights: str, seed: int, n_classes: int, resolution: int | None) -> nn.Module:
    """Return a model in eval mode.

    Args:
        name: Name of the timm model.
        weights: Source of the weights: ``"hub"``, ``"random"``, or the path of a file or of a folder with a file for
            each model.
        seed: Random seed of random weights.
        n_classes: Number of classes of the data set; weights from the hub must have the same number.
        resolution: Side of the input in pixels, for models with a fixed input size; ``None`` for the model's own.

    Raises:
        UserError: If classes or weights do not fit the model.
    """
    settings: dict[str, Any] = {"pretrained": weights == HUB} if weights == HUB else {"num_classes": n_classes}
    with _making, seeded(short_seed(seed, "weights")):
        network: Any = sized(name, resolution, **settings)
    if network.num_classes != n_classes:
        raise UserError(f"it has {network.num_classes:,} classes, the data set has {n_classes:,}")
    if weights not in (HUB, RANDOM):
        _load(network, weights_file(name, weights))
    model: nn.Module = network.eval()
    return model


def sized(name: str, resolution: int | None, **settings: Any) -> Any:
    """Return a timm model; a model with a fixed input size is built for the given resolution.

    Args:
        name: Name of the timm model.
        resolution: Side of the input, in pixels; ``None`` for the model's own.
        settings: Arguments of ``timm.create_model``.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about deprecated names
        network: Any = timm.create_model(name, **settings)
        own = network.pretrained_cfg
        if resolution is not None and own.get("fixed_input_size", False) and own["input_size"][1] != resolution:
            network = timm.create_model(name, img_size=resolution, **settings)
    return network


def transform_of(network: nn.Module, resolution: int | None) -> tuple[Any, int]:
    """Return timm's validation transform, from a PIL image to the network's input, and the side of the input.

    Args:
        network: Model of timm.
        resolution: Side of the input, in pixels; ``None`` for the model's own.
    """
    config = _input_of(network, resolution)
    return create_transform(**config, is_training=False), int(config["input_size"][1])


def batches(
    images: Images, transform: Callable[[Image.Image], Tensor], batch_size: int, device: torch.device | str
) -> Iterator[tuple[range, Tensor]]:
    """Yield row indices and the batch of transformed images, shape (b, 3, r, r).

    Args:
        images: Images of a split. They are read from their files in full detail unless the data set keeps them decoded.
        transform: Transform of :func:`transform_of`.
        batch_size: Number of images per batch.
        device: Torch device of the batches.
    """
    for start in range(0, len(images), batch_size):
        rows = range(start, min(start + batch_size, len(images)))
        batch = torch.stack([transform(photo) for photo in _photos(images, rows)])
        yield rows, batch.to(device=device, memory_format=torch.channels_last)


def _photos(images: Images, rows: range) -> list[Image.Image]:
    """Return PIL images from their files, or from the pixels that the data set keeps."""
    pixels = images.pixels
    if isinstance(pixels, FileRows):
        return [pixels.photo(row, FULL_DETAIL) for row in rows]
    return [Image.fromarray(image.transpose(1, 2, 0)) for image in np.asarray(pixels[rows.start : rows.stop])]


def prepared(network: nn.Module, resolution: int | None) -> Prepared:
    """Return a network that includes its preprocessing as tensor operations, for images of equal size.

    Args:
        network: Model of timm.
        resolution: Side of the input, in pixels; ``None`` for the model's own.

    Raises:
        UserError: If torch cannot reproduce timm's resizing.
    """
    config = _input_of(network, resolution)
    mode = config["interpolation"]
    if mode not in ("bilinear", "bicubic") or config.get("crop_mode", "center") != "center":
        raise UserError(f"its images are resized by {mode}, crop {config.get('crop_mode')}: give it images of its size")
    side = int(config["input_size"][1])
    crop = Crop(mode=mode, side=math.floor(side / config["crop_pct"]))
    return Prepared(network, mean=config["mean"], std=config["std"], resolution=side, crop=crop)


def _input_of(network: nn.Module, resolution: int | None) -> dict[str, Any]:
    """Return timm's description of a network's input."""
    resolve: Any = resolve_data_config  # timm has no type annotations
    config: dict[str, Any] = resolve({}, model=network, use_test_size=resolution is None)
    if resolution is not None:
        config["input_size"] = (3, resolution, resolution)
    return config


def _load(network: nn.Module, path: Path) -> None:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        state = load_file(path)
    else:
        state = read_state_dict(path)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        text = " ".join(str(error).split())
        raise UserError(f"'{path}' holds no weights of it: {text[:200]}") from error


COUNTED = frozenset({functional.linear, functional.conv1d, functional.conv2d, functional.conv3d})


@final
class MultiplyAdds(TorchFunctionMode):
    """Context that counts multiply-adds of convolutions and linear layers in the current thread.

    They are counted in the torch functions, so that a layer counts no matter how a network calls it. Products of two
    activations, as in attention, are not counted.

    Attributes:
        total: Number of multiply-adds of all images together.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from nas.pool.timm_models import MultiplyAdds
        >>> with MultiplyAdds() as counter:
        ...     _ = nn.Linear(10, 3)(torch.zeros(2, 10))
        >>> counter.total
        60
    """

    def __init__(self) -> None:
        """Start at zero."""
        super().__init__()
        self.total = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[Any],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in COUNTED:
            weight = args[1] if len(args) > 1 else (kwargs or {})["weight"]
            assert isinstance(result, torch.Tensor)
            self.total += result.numel() * weight[0].numel()
        return result


@torch.no_grad()
def counted(network: nn.Module, resolution: int) -> dict[str, float]:
    """Return ``flops`` and ``params`` of a network, both in millions.

    ``flops`` counts multiply-adds of convolutions and linear layers for one image.

    Args:
        network: Network that maps images, (n, 3, resolution, resolution), to logits.
        resolution: Side of the input, in pixels.

    Example:
        >>> from torch import nn
        >>> from nas.pool.timm_models import counted
        >>> counted(nn.Conv2d(3, 10, kernel_size=1, bias=False), resolution=100)
        {'flops': 0.3, 'params': 3e-05}
    """
    device: torch.device | str = next((tensor.device for tensor in network.parameters()), torch.device("cpu"))
    with MultiplyAdds() as counter:
        network(torch.zeros(1, 3, resolution, resolution, device=device))
    params = sum(parameter.numel() for parameter in network.parameters())
    return {"flops": counter.total / MILLION, "params": params / MILLION}
