"""Figure of one network: its blocks with kernel sizes, expansions, channels and costs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import wrap
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from torch import Tensor, nn

from nas.files import write_atomic
from nas.plotting.style import INK

KERNELS = {1: "#d9d9d9", 3: "#bcd7ee", 5: "#5b9bd0", 7: "#1d4f7c"}
COST = "#c8501e"
FORMATS = ("png", "pdf", "svg")
IMAGE_CHANNELS = 3


@dataclass
class Layer:
    """Block of a network, in the order of execution.

    Attributes:
        name: Name of the module, for example ``"blocks.3"``.
        inputs, outputs: Number of channels.
        side: Side of the output in pixels.
        kernel: Kernel size of the largest convolution.
        stride: Stride of the whole block.
        expansion: Ratio of the channels of the largest convolution to the input channels; 0 for a block with a single
            convolution.
        macs: Multiply-adds of the convolutions and linear layers.
        convolutions: Number of convolutions in sequence.
    """

    name: str
    inputs: int
    outputs: int
    side: int
    kernel: int = 1
    stride: int = 1
    expansion: float = 0.0
    macs: int = 0
    convolutions: int = 0


@torch.no_grad()
def layers_of(network: nn.Module, resolution: int) -> list[Layer]:
    """Return the blocks of a network in the order of execution; only shapes are computed.

    Convolutions and linear layers belong to the same block if their names agree up to the last index.

    Args:
        network: Extracted subnet; it is moved to the device ``meta`` and cannot be used afterwards.
        resolution: Input resolution (side of the square image) in pixels.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 1))
        >>> [(layer.outputs, layer.side, layer.macs) for layer in layers_of(network, resolution=16)]
        [(8, 8, 13824), (4, 8, 2048)]
    """
    layers: dict[str, Layer] = {}

    def hook(name: str) -> Any:
        def found(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            _add(layers, name, module, inputs[0], output)

        return found

    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(hook(name))
    network.to("meta").eval()(torch.empty(1, IMAGE_CHANNELS, resolution, resolution, device="meta"))
    return [layer if layer.convolutions > 1 else replace(layer, expansion=0.0) for layer in layers.values()]


def part_of(name: str) -> str:
    """Return the block of a module or tensor: its name up to the last index, or its first word.

    Example:
        >>> part_of("blocks.3.conv.weight"), part_of("classifier.weight")
        ('blocks.3', 'classifier')
    """
    block = re.match(r"(.*\.)?(\d+)(?=\.)", name)
    return block.group(0) if block else name.partition(".")[0]


def _add(layers: dict[str, Layer], name: str, module: nn.Module, images: Tensor, output: Tensor) -> None:
    key = part_of(name)
    block = key != name.partition(".")[0]
    channels = images.shape[1]
    layer = layers.setdefault(key, Layer(key, channels, output.shape[1], 1))
    weights = module.get_parameter("weight")
    layer.macs += output.numel() * weights[0].numel()
    if not isinstance(module, nn.Conv2d) or "shortcut" in name or "downsample" in name:
        return
    if output.shape[-1] == 1 and images.shape[-1] == 1 and layer.side > 1:
        return  # squeeze-excite
    layer.convolutions += 1
    layer.outputs, layer.side = output.shape[1], output.shape[-1]
    layer.stride *= module.stride[0]
    if module.kernel_size[0] > layer.kernel:
        layer.kernel = module.kernel_size[0]
        layer.expansion = output.shape[1] / layer.inputs if block and layer.inputs > IMAGE_CHANNELS else 0.0


def architecture_figure(path: Path, *, title: str, resolution: int, layers: Sequence[Layer]) -> None:
    """Draw the blocks of a network: expansion, kernel size, channels, side and share of the cost.

    Args:
        path: Path of the figure, which ends in one of ``FORMATS``; written atomically.
        title: Title of the figure: the model and its cost.
        resolution: Input resolution (side of the square image) in pixels.
        layers: Blocks in the order of execution, see :func:`layers_of`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "network.svg"
        ...     architecture_figure(path, title="Stem", resolution=16, layers=[Layer("0", 3, 8, 8, kernel=3, macs=9)])
        ...     path.exists()
        True
    """
    width = max(6.4, 1.6 + 0.34 * len(layers))
    lines = wrap(title, int(11 * width))
    figure = Figure(figsize=(width, 4.1 + 0.2 * len(lines)), dpi=144, layout="constrained")
    blocks, shares = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _draw_blocks(blocks, layers)
    total = sum(layer.macs for layer in layers)
    shares.bar(range(len(layers)), [100 * layer.macs / total for layer in layers], color=COST, width=0.7)
    shares.set_ylabel("FLOPs (%)", color=INK)
    shares.set_xticks(range(len(layers)), [_short(layer.name) for layer in layers], rotation=90, fontsize="x-small")
    for axes in (blocks, shares):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK)
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize="medium", fontweight="bold", color=INK)
    blocks.set_title(f"input {resolution} x {resolution}", loc="left", fontsize="small", color=INK)
    canvas = FigureCanvasAgg(figure)
    write_atomic(path, lambda file: canvas.figure.savefig(file, format=path.suffix[1:].lower()))


def _draw_blocks(axes: Axes, layers: Sequence[Layer]) -> None:
    """Draw one bar for each block, as high as its expansion, and a labeled line at each change of channels or side."""
    highest = max(1.0, *(layer.expansion for layer in layers))
    for x, layer in enumerate(layers):
        height = layer.expansion or 0.25 * highest
        colour = KERNELS.get(layer.kernel, "#8c8c8c")
        axes.add_patch(Rectangle((x - 0.35, 0), 0.7, height, facecolor=colour, edgecolor="white"))
        if layer.expansion:
            axes.text(x, height, f"{layer.expansion:.3g}", ha="center", va="bottom", fontsize="x-small", color=INK)
    starts = [i for i, layer in enumerate(layers) if i == 0 or _shape(layer) != _shape(layers[i - 1])]
    for start in starts:
        if start:
            axes.axvline(start - 0.5, color="#cccccc", linewidth=0.6, zorder=0)
        text = f"{layers[start].outputs} x {layers[start].side}²"
        axes.text(start - 0.4, 1.42 * highest, text, rotation=90, va="top", ha="left", fontsize="x-small", color=INK)
    axes.set_xlim(-0.6, len(layers) - 0.4)
    axes.set_ylim(0, 1.45 * highest)
    axes.set_ylabel("expansion", color=INK)
    sizes = sorted({layer.kernel for layer in layers})
    handles = [Patch(facecolor=KERNELS.get(k, "#8c8c8c"), label=f"{k} x {k}") for k in sizes]
    axes.legend(
        handles=handles, title="kernel", fontsize="x-small", title_fontsize="x-small", frameon=False,
        loc="upper left", bbox_to_anchor=(1.0, 1.0),
    )  # fmt: skip


def _shape(layer: Layer) -> tuple[int, int]:
    return layer.outputs, layer.side


def _short(name: str) -> str:
    return name.replace("_layer", "").replace("input_", "").replace("_", " ")
