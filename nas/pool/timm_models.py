"""Models of the package timm: which, with which weights, and what images they want."""

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
"""The word for the models that ENCAS was applied to."""

HUB, RANDOM = "hub", "random"
"""The words for weights that timm downloads, and for none."""

ENDINGS = (".safetensors", ".pth", ".pt", ".bin")

FULL_DETAIL = 2**20
"""Side in pixels that asks for all the detail an image file has."""

_making = threading.Lock()  # first weights come from torch's global generator


def model_names(wanted: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names that are meant, each once, in their order.

    Args:
        wanted: ``"published"``, or names and patterns with ``*``, ``?`` or ``[]``; a name may end in the tag of its
            weights, as in ``"resnet18.a1_in1k"``, and a pattern with a dot matches names with tags.

    Raises:
        UserError: for a name or pattern that timm does not know. The published names are all returned.
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
    """Return what decides a model's weights, as plain values.

    Raises:
        UserError: if they are to come from a file that is not there.
    """
    known = {"model": name, "timm": timm.__version__, "torch": torch.__version__}
    if weights == HUB:
        return known | {"weights": HUB}  # timm names the file, and its hash is kept with the outputs
    if weights == RANDOM:
        return known | {"weights": RANDOM, "seed": seed}
    return known | {"weights": file_digest(weights_file(name, weights))}


def weights_file(name: str, weights: str) -> Path:
    """Return the file of a model's weights: ``weights`` itself, or the one in that folder that has the model's name.

    Raises:
        UserError: if it is not there.
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
        name: of timm.
        weights: ``"hub"``, ``"random"``, or the path of a file, or of a folder with a file for each model.
        seed: of random weights.
        n_classes: of the data set; weights from the hub must have as many.
        resolution: side of its input in pixels, which some models are made for; ``None`` for its own.

    Raises:
        UserError: if it does not fit.
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
    """Return a model of timm; one whose input has a fixed size is made for images of ``resolution`` pixels a side."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old names
        network: Any = timm.create_model(name, **settings)
        own = network.pretrained_cfg
        if resolution is not None and own.get("fixed_input_size", False) and own["input_size"][1] != resolution:
            network = timm.create_model(name, img_size=resolution, **settings)
    return network


def transform_of(network: nn.Module, resolution: int | None) -> tuple[Any, int]:
    """Return the change from a PIL image to the network's input, as timm's own validation makes it, and its side."""
    config = _input_of(network, resolution)
    return create_transform(**config, is_training=False), int(config["input_size"][1])


def batches(
    images: Images, transform: Callable[[Image.Image], Tensor], batch_size: int, device: torch.device | str
) -> Iterator[tuple[range, Tensor]]:
    """Yield rows of images, and these as the network takes them, (b, 3, r, r).

    Args:
        images: read from files in full detail where the data set does not keep them decoded.
        transform: of :func:`transform_of`.
        batch_size: images at once.
        device: where they lie.
    """
    for start in range(0, len(images), batch_size):
        rows = range(start, min(start + batch_size, len(images)))
        batch = torch.stack([transform(photo) for photo in _photos(images, rows)])
        yield rows, batch.to(device=device, memory_format=torch.channels_last)


def _photos(images: Images, rows: range) -> list[Image.Image]:
    """Return images as they are in their files, or as the data set keeps them."""
    pixels = images.pixels
    if isinstance(pixels, FileRows):
        return [pixels.photo(row, FULL_DETAIL) for row in rows]
    return [Image.fromarray(image.transpose(1, 2, 0)) for image in np.asarray(pixels[rows.start : rows.stop])]


def prepared(network: nn.Module, resolution: int | None) -> Prepared:
    """Return a network that makes the same change with tensors, of images that all have one size.

    Raises:
        UserError: if timm resizes its images in a way that torch cannot.
    """
    config = _input_of(network, resolution)
    mode = config["interpolation"]
    if mode not in ("bilinear", "bicubic") or config.get("crop_mode", "center") != "center":
        raise UserError(f"its images are resized by {mode}, crop {config.get('crop_mode')}: give it images of its size")
    side = int(config["input_size"][1])
    crop = Crop(mode=mode, side=math.floor(side / config["crop_pct"]))
    return Prepared(network, mean=config["mean"], std=config["std"], resolution=side, crop=crop)


def _input_of(network: nn.Module, resolution: int | None) -> dict[str, Any]:
    """Return what timm says about a network's input."""
    resolve: Any = resolve_data_config  # has no types
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
    """Counts the multiply-adds of convolutions and linear layers that run inside ``with``, in this thread.

    They are counted where they are computed, so that a layer counts however a network calls it. Products of two
    activations, as in attention, are not counted.

    Attributes:
        total: multiply-adds of all images together.
    """

    def __init__(self) -> None:
        """Begin with none."""
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
    """Return ``flops``, multiply-adds of convolutions and linear layers for one image, and ``params``, in millions."""
    device: torch.device | str = next((tensor.device for tensor in network.parameters()), torch.device("cpu"))
    with MultiplyAdds() as counter:
        network(torch.zeros(1, 3, resolution, resolution, device=device))
    params = sum(parameter.numel() for parameter in network.parameters())
    return {"flops": counter.total / MILLION, "params": params / MILLION}
