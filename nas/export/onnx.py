"""``format=onnx``: ONNX, which onnxruntime and other runtimes run without torch."""

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import final

import onnx
import torch
from torch import nn

from nas.errors import RunError
from nas.export.base import INPUT, Arrays, Format, Images, Run, Source
from nas.export.graph import first_line, free_sides, output_names, program, quiet
from nas.files import write_bytes

OPSET = 18
"""The first one that can resize with antialiasing."""

SIZES = ("batch", "channels", "height", "width")

ERRORS_ALONE = 3  # onnxruntime's level of messages


@final
class Onnx(Format):
    """Format ONNX: a graph made from a program of torch.export, with the weights in the same file.

    Stages of cascades are branches of ``If``.
    """

    ending = "onnx"

    def free_sides(self, network: nn.Module) -> bool:
        """Return whether height and width of the images can stay open."""
        return free_sides(network)

    def write(self, source: Source, path: Path) -> None:
        """Write the graph with its description as metadata properties."""
        exported = program(source)
        try:
            with warnings.catch_warnings():
                quiet()
                made = torch.onnx.export(
                    exported,
                    dynamo=True,
                    verbose=False,
                    opset_version=OPSET,
                    input_names=[INPUT],
                    output_names=list(output_names(source.network)),
                )
        except Exception as error:  # onnxscript and torch have many kinds of them
            raise RunError(f"ONNX cannot express the network: {first_line(error)}") from error
        assert made is not None
        model = made.model_proto
        names = _size_names(model.graph)
        for graph in _graphs(model.graph):
            _prune(graph)
            _rename_sizes(graph, names)
        onnx.helper.set_model_props(model, dict(source.about))
        model.producer_name, model.doc_string = "nas", source.about.get("description", "")
        onnx.checker.check_model(model)
        write_bytes(path, model.SerializeToString())

    def read(self, path: Path, threads: int) -> Run:
        """Return a session of onnxruntime on the CPU."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, ERRORS_ALONE
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]

        def run(images: Images) -> Arrays:
            return dict(zip(names, session.run(None, {INPUT: images}), strict=True))

        return run


def _size_names(graph: onnx.GraphProto) -> dict[str, str]:
    """Return names for the free sizes of the input, by torch's names."""
    sizes = zip(graph.input[0].type.tensor_type.shape.dim, SIZES, strict=True)
    return {size.dim_param: name for size, name in sizes if size.dim_param}


def _rename_sizes(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Name the free sizes of what goes in and comes out."""
    for value in (*graph.input, *graph.output):
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param in names:
                size.dim_param = names[size.dim_param]


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield a graph and those of its branches."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _graphs(attribute.g)


def _prune(graph: onnx.GraphProto) -> None:
    """Remove unused constants, which torch leaves in branches, and torch's notes on operations.

    Shapes of intermediate values are removed too: runtimes infer them.
    """
    used = {name for inner in _graphs(graph) for node in inner.node for name in node.input}
    used |= {output.name for inner in _graphs(graph) for output in inner.output}
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    kept = [constant for constant in graph.initializer if constant.name in used]
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(kept)
