"""From networks to programs of torch.export."""

import warnings
from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from nas.cascade.module import OUTPUTS, Cascade, GapCascade, Stages
from nas.errors import RunError
from nas.export.base import LOGITS, Arrays, Source
from nas.export.preprocessing import Preprocessed
from nas.pool.prepared import Prepared
from nas.supernet.ofa_modules import Recomputed


def output_names(network: nn.Module) -> tuple[str, ...]:
    """Return the names of what an exported network returns."""
    return OUTPUTS if isinstance(network, Cascade | GapCascade) else (LOGITS,)


def free_sides(network: nn.Module) -> bool:
    """Return whether a program of torch.export can leave height and width of the images open.

    It cannot where a later network of a cascade cuts out a centre: within a branch torch.export knows nothing about
    the sizes that are left.
    """
    if isinstance(network, Cascade | GapCascade):
        return all(isinstance(member, Prepared) and member.crop == 1.0 for member in network.networks)
    return isinstance(network, Prepared)


def frozen(network: nn.Module) -> nn.Module:
    """Return a copy in eval mode of which nothing is trained, without what training alone needs."""
    network = deepcopy(network).eval().requires_grad_(False)
    for module in network.modules():
        if isinstance(module.__dict__.get("forward"), Recomputed):
            del module.__dict__["forward"]
    return network


def exportable(network: nn.Module, each: Callable[[nn.Module], nn.Module] = lambda network: network) -> nn.Module:
    """Return a module that computes the same and whose sizes and stages can stay open.

    Args:
        network: :class:`Prepared`, a cascade, or any other network, which is returned as it is.
        each: applied to networks without preprocessing.
    """
    if isinstance(network, Cascade | GapCascade):
        return Stages(network, [exportable(member, each) for member in network.networks])
    if isinstance(network, Prepared):
        return Preprocessed(network, each(network.network))
    return each(network)


def program(source: Source) -> ExportedProgram:
    """Return the network as a program of torch.export.

    Raises:
        RunError: if torch.export cannot follow it.
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
