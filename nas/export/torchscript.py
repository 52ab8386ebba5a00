"""``format=torchscript``: a program that ``torch.jit.load`` reads, in Python and in C++."""

import json
import warnings
from pathlib import Path
from typing import Any, final

import torch
from torch import nn

from nas.cascade.module import Cascade, ScriptedStages
from nas.errors import RunError
from nas.export.base import ABOUT, Arrays, Format, Images, Run, Source
from nas.export.graph import Preprocessed, first_line, frozen, named
from nas.files import write_atomic
from nas.pool.prepared import Prepared

_jit: Any = torch.jit  # has few types


@final
class TorchScript(Format):
    """Format TorchScript: networks are traced; preprocessing and cascade stages are compiled."""

    ending = "torchscript"

    def free_sides(self, network: nn.Module) -> bool:
        """Return whether the file takes images of any height and width: only with preprocessing inside."""
        return isinstance(network, Prepared | Cascade)

    def write(self, source: Source, path: Path) -> None:
        """Write the program and, as an extra file in it, what it says about itself."""
        example = torch.from_numpy(source.example)
        try:
            with torch.no_grad(), warnings.catch_warnings():
                _quiet()
                scripted: Any = _jit.script(_compiled(frozen(source.network), example).eval())
        except Exception as error:  # torch has dozens of kinds of them
            raise RunError(f"TorchScript cannot express the network: {first_line(error)}") from error
        extra = {ABOUT: json.dumps(dict(source.about))}
        with warnings.catch_warnings():
            _quiet()
            write_atomic(path, lambda file: _jit.save(scripted, file, _extra_files=extra))

    def read(self, path: Path, threads: int) -> Run:
        """Return the program; torch's own number of threads counts."""
        with warnings.catch_warnings():
            _quiet()
            module: Any = _jit.load(path)

        def run(images: Images) -> Arrays:
            with torch.inference_mode():
                return named(module(torch.from_numpy(images)))

        return run


def _compiled(network: nn.Module, example: torch.Tensor) -> nn.Module:
    """Return a module that TorchScript can compile: networks are traced with their own input."""
    if isinstance(network, Cascade):
        return ScriptedStages(network, [_compiled(member, example) for member in network.networks])
    if isinstance(network, Prepared):
        images = torch.zeros(len(example), 3, network.resolution, network.resolution)
        images = images.contiguous(memory_format=torch.channels_last)
        return Preprocessed(network, _traced(network.network, images))
    return _traced(network, example)


def _traced(network: nn.Module, images: torch.Tensor) -> nn.Module:
    traced: nn.Module = _jit.trace(network, images, check_trace=False)
    return traced


def _quiet() -> None:
    """Ignore that TorchScript is deprecated: it is what was asked for."""
    for category in (DeprecationWarning, FutureWarning):
        warnings.filterwarnings("ignore", message=r".*torch\.jit\..* is (deprecated|not supported)", category=category)
    warnings.filterwarnings("ignore", category=_jit.TracerWarning)
