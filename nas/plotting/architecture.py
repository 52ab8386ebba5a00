"""Pictures of one network: its blocks, their kernels, expansions, widths and costs."""

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
    """One block of a network as it runs.

    Attributes:
        name: Name of the module, for example ``"blocks.3"``.
        inputs, outputs: Channels.
        side: Side of its output, pixels.
        kernel: Side of its largest convolution.
        stride: Stride of the whole block.
        expansion: Channels of its largest convolution over input channels; 0 for what is no block of several.
        macs: Multiply-adds of its convolutions and linear layers.
        convolutions: Number of convolutions in a row.
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
    """Return the blocks of a network in the order in which they run; shapes alone are computed, no numbers.

    Convolutions and linear layers belong to one block where their names agree up to the last index.

    Args:
        network: An extracted subnet; it is moved to the device ``meta`` and of no use afterwards.
        resolution: Side of the square input, pixels.
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
    """Return the block that a module or a tensor belongs to: its name up to the last index, or the first word."""
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
    """Draw a network from input to output: expansion and kernel of each block, channels and sides, share of the cost.

    Args:
        path: A file that ends in one of ``FORMATS``; replaced atomically.
        title: Title of the figure: the model and its cost.
        resolution: Side of the square input, pixels.
        layers: In the order in which they run, see :func:`layers_of`.
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
    """Draw a bar a block, as high as its expansion; a line and its channels where they or the side change."""
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
