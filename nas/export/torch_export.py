"""``format=torch_export``: a program of torch.export, which ``torch.export.load`` reads."""

import json
from pathlib import Path
from typing import final

import torch
from torch import nn
from torch._export.serde.serialize import SerializeError
from torch.fx import GraphModule

from nas.errors import RunError
from nas.export.base import ABOUT, Arrays, Format, Images, Run, Source
from nas.export.graph import first_line, free_sides, named, program
from nas.files import write_atomic

ORIGINS = ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node", "torch_fn")
"""What torch notes about each operation beside what it is: most of a file, with paths of the machine in it."""


@final
class TorchExport(Format):
    """Format torch.export: a graph of torch's operators, for ``torch.compile`` and AOTInductor."""

    ending = "pt2"

    def free_sides(self, network: nn.Module) -> bool:
        """Return whether height and width of the images can stay open."""
        return free_sides(network)

    def write(self, source: Source, path: Path) -> None:
        """Write the program and, as an extra file in it, what it says about itself."""
        exported = program(source)
        for graph in exported.graph_module.modules():
            for node in graph.graph.nodes if isinstance(graph, GraphModule) else ():
                for origin in ORIGINS:
                    node.meta.pop(origin, None)
        extra = {ABOUT: json.dumps(dict(source.about))}
        try:
            write_atomic(path, lambda file: torch.export.save(exported, file, extra_files=extra))
        except (AssertionError, SerializeError) as error:
            raise RunError(f"torch.export {torch.__version__} cannot write the network: {first_line(error)}") from error

    def read(self, path: Path, threads: int) -> Run:
        """Return the program; torch's own number of threads counts."""
        module = torch.export.load(path).module()

        def run(images: Images) -> Arrays:
            with torch.no_grad():
                return named(module(torch.from_numpy(images)))

        return run
