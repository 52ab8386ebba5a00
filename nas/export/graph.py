"""From networks to programs of torch.export."""

import warnings
from copy import deepcopy
from fractions import Fraction
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn.functional import interpolate

from nas.cascade.module import OUTPUTS, Cascade, Stages
from nas.errors import RunError
from nas.export.base import LOGITS, Arrays, Source
from nas.pool.prepared import Crop, Prepared
from nas.supernet.ofa_modules import Recomputed


def output_names(network: nn.Module) -> tuple[str, ...]:
    """Return the names of what an exported network returns."""
    return OUTPUTS if isinstance(network, Cascade) else (LOGITS,)


def free_sides(network: nn.Module) -> bool:
    """Return whether a program of torch.export can leave height and width of the images open.

    It cannot if a later network of a cascade crops: within a branch torch.export does not know the remaining sizes.
    """
    if isinstance(network, Cascade):
        return all(isinstance(member, Prepared) and member.crop == 1.0 for member in network.networks)
    return isinstance(network, Prepared)


def frozen(network: nn.Module) -> nn.Module:
    """Return a copy in eval mode without gradients and without modules that only training needs."""
    network = deepcopy(network).eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module.__dict__.get("forward"), Recomputed):
            del module.__dict__["forward"]
    return network


def exportable(network: nn.Module) -> nn.Module:
    """Return a module that computes the same and whose sizes and stages can stay open.

    Args:
        network: :class:`Prepared`, a cascade, or any other network, which is returned as it is.
    """
    if isinstance(network, Cascade):
        return Stages(network, [exportable(member) for member in network.networks])
    if isinstance(network, Prepared):
        return Preprocessed(network, network.network)
    return network


def program(source: Source) -> ExportedProgram:
    """Return the network as a program of torch.export.

    Raises:
        RunError: If torch.export cannot follow it.
    """
    free = {0: Dim.DYNAMIC} | ({2: Dim.DYNAMIC, 3: Dim.DYNAMIC} if source.free_sides else {})
    module = exportable(frozen(source.network)).eval()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            quiet()
            return torch.export.export(module, (torch.from_numpy(source.example),), dynamic_shapes=(free,))
    except Exception as error:  # torch has dozens of kinds of them
        raise RunError(f"torch.export {torch.__version__} cannot follow the network: {first_line(error)}") from error


def quiet() -> None:
    """Ignore what torch's own code is warned of while it exports."""
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"(torch|onnxscript|onnx_ir|onnx)\b")


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its kind."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def named(outputs: Tensor | tuple[Tensor, ...]) -> Arrays:
    """Return what an exported network returned, by name."""
    if isinstance(outputs, Tensor):
        return {LOGITS: outputs.numpy()}
    return {name: output.numpy() for name, output in zip(OUTPUTS, outputs, strict=True)}


LARGEST_DENOMINATOR = 10**6

_jit: Any = torch.jit  # has few types


def share_of(side: int, numerator: int, denominator: int) -> int:
    """Return the share of a side, rounded to the nearest integer, the even one of two.

    Formats of exported graphs know no ``round``; integers of any of them have sums, products and quotients.
    """
    double = 2 * numerator * side
    up = (double + denominator) // (2 * denominator)
    down = (double + denominator - 1) // (2 * denominator)
    return up - (up - down) * (up - 2 * (up // 2))


def shorter(height: int, width: int) -> int:
    """Return the smaller of two sides; ``min`` would become a constant in an exported graph.

    TorchScript compiles one branch of this statement; of an expression it would compile both.
    """
    if _jit.is_scripting():  # noqa: SIM108
        least = min(height, width)
    else:
        least = torch.sym_min(height, width)  # type: ignore[assignment]
    return least


def fraction_of(share: float) -> tuple[int, int]:
    """Return the fraction that was meant by a share, such as 7/8 by 0.875."""
    simple = Fraction(share).limit_denominator(LARGEST_DENOMINATOR)
    return simple.numerator, simple.denominator


@final
class Preprocessed(nn.Module):
    """:class:`nas.pool.prepared.Prepared` without decisions that depend on the images' size.

    TorchScript can compile it, and torch.export leaves batch size, height and width free.
    """

    def __init__(self, prepared: Prepared, network: nn.Module) -> None:
        """Take the preprocessing from one network and put it before another one that computes the same."""
        super().__init__()
        self.network = network
        self.resolution = prepared.resolution
        crop = prepared.crop
        self.numerator, self.denominator = (1, 1) if isinstance(crop, Crop) else fraction_of(crop)
        self.side = crop.side if isinstance(crop, Crop) else 0  # 0: the centre is cut out before resizing
        self.mode = str(crop.mode) if isinstance(crop, Crop) else "bilinear"
        self.register_buffer("mean", prepared.mean.detach().clone())
        self.register_buffer("std", prepared.std.detach().clone())
        self.mean: Tensor
        self.std: Tensor

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, (n, c), of images, (n, 3, height, width), pixels scaled to 0..1."""
        sides = [self.resolution, self.resolution]
        if self.side > 0:
            images = (self._resized_centre(images) - self.mean) / self.std
        else:
            if self.numerator != self.denominator:
                images = self._centre(images)
            images = (images - self.mean) / self.std
            # Nothing changes where the images have the right sides already.
            images = interpolate(images, sides, mode="bilinear", antialias=True, align_corners=False)
        logits: Tensor = self.network(images.contiguous(memory_format=torch.channels_last))
        return logits

    def _centre(self, images: Tensor) -> Tensor:
        """Cut the share of both sides out of the middle."""
        height, width = images.shape[2], images.shape[3]
        rows = share_of(height, self.numerator, self.denominator)
        columns = share_of(width, self.numerator, self.denominator)
        top, left = (height - rows) // 2, (width - columns) // 2
        return images[:, :, top : top + rows, left : left + columns]

    def _resized_centre(self, images: Tensor) -> Tensor:
        """Resize the shorter side and crop the center."""
        height, width = images.shape[2], images.shape[3]
        least = shorter(height, width)
        rows, columns = self.side * height // least, self.side * width // least
        resized = interpolate(images, [rows, columns], mode=self.mode, antialias=True, align_corners=False).clamp(0, 1)
        top, left = share_of(rows - self.resolution, 1, 2), share_of(columns - self.resolution, 1, 2)
        return resized[:, :, top : top + self.resolution, left : left + self.resolution]
