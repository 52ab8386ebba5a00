"""``task=export``: conversion of a model to a file that runs without this project."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Unpack, final

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from nas.dataset.base import Dataset
from nas.errors import RunError, UserError
from nas.experiment import Experiment
from nas.export.base import Format, Images, Run, Source, about, summary
from nas.export.check import Parity, compare, latencies, original
from nas.export.graph import Preprocessed, output_names
from nas.export.onnx import Onnx
from nas.export.torch_export import TorchExport
from nas.export.torchscript import TorchScript
from nas.files import expanded, read_json, write_bytes, write_json
from nas.model.base import Model, ModelSource
from nas.model.find import ModelKeys, ModelOptions, find_source
from nas.model.given import given_by
from nas.objective.timing import hardware
from nas.pool.prepared import Prepared
from nas.task.base import Task
from nas.task.progress import shown
from nas.types import NonNegativeInt, PositiveFloat, PositiveInt

FORMATS: Mapping[str, Format] = {"onnx": Onnx(), "torchscript": TorchScript(), "torch_export": TorchExport()}

FOLDER, REPORT = "export", "export.json"

_BATCH = 64  # batch size of the comparison


@final
class ExportTask(Task):
    """Task that writes a model as a file and checks on real images that the file gives the same outputs.

    Example:
        >>> from nas.cli.compose import experiment_of
        >>> task = experiment_of(["task=export", "run=outputs/demo", "format=torchscript"]).part("task")
        >>> type(task).__name__
        'ExportTask'
    """

    def __init__(
        self,
        *,
        experiment: Experiment,
        format: Literal["onnx", "torchscript", "torch_export"] = "onnx",
        preprocessing: bool = True,
        path: Path | None = None,
        overwrite: bool = False,
        split: Literal["test", "validation", "train"] = "test",
        images: PositiveInt = 256,
        tolerance: PositiveFloat = 0.001,
        batch_sizes: tuple[PositiveInt, ...] = (1, 32),
        warmup: NonNegativeInt = 2,
        repeats: PositiveInt = 10,
        **keys: Unpack[ModelOptions],
    ) -> None:
        """Set the model, the file and the comparison.

        Args:
            experiment: Experiment of the command line. Only ``dataset``, ``supernet``, ``evaluator``, ``device`` and
                ``threads`` are used. The file is written and timed on the CPU; batch norm recalibration runs on
                ``device``.
            format: Format of the file: ``onnx``, ``torchscript`` or ``torch_export``.
            preprocessing: Whether the file crops, normalizes and resizes images; otherwise its input is normalized
                images of the network's own size.
            path: Path of the file; ``None`` for a file in ``export`` in the folder of the run or model, or in the
                working folder if there is neither.
            overwrite: Whether an existing file may be replaced.
            split: Split for the comparison of the outputs: ``test``, ``validation`` or ``train``.
            images: Number of images for the comparison, spread evenly over the split; all if the split has fewer.
            tolerance: Largest allowed difference of the outputs, above 0, as a share of the largest output (of 1 if
                all outputs are smaller).
            batch_sizes: Batch sizes of the timed passes.
            warmup: Number of passes before the timed ones.
            repeats: Number of timed passes; their median counts.
            keys: Settings that name the model, see :class:`nas.model.find.ModelOptions`.
        """
        self._experiment = experiment
        self._format = format
        self._keys = ModelKeys(**keys)
        self._preprocessing = preprocessing
        self._path = None if path is None else expanded(path, "path")
        self._overwrite = overwrite
        self._split = split
        self._images = images
        self._tolerance = tolerance
        self._batch_sizes = batch_sizes
        self._warmup = warmup
        self._repeats = repeats

    def check(self) -> None:
        """Find the model and its images, and check the path of the file.

        Raises:
            UserError: If the model or its images are not found, or the file cannot be written to ``path``.
        """
        source, dataset = self._found()
        dataset.split(self._split)
        path, ending = self._place(source), FORMATS[self._format].ending
        if path.is_dir() or path.suffix != f".{ending}":
            raise UserError(f"path={path} must be a file that ends in .{ending}")
        if path.exists() and not self._overwrite:
            raise UserError(f"'{path}' exists; add overwrite=true to replace it, or path=FILE")
        _known(path.with_name(REPORT))

    def run(self) -> str:
        """Export the model, compare and time the file, write it with its report, and return the report as text.

        Raises:
            RunError: If the outputs of the file differ from those of the model; nothing is written then.
        """
        settings, form = self._experiment.settings, FORMATS[self._format]
        torch.set_num_threads(settings.threads)
        source, dataset = self._found()
        path = self._place(source)
        with threadpool_limits(settings.threads), TemporaryDirectory() as folder, shown() as progress:
            model = source.load(progress)
            exported, images = self._source(model, self._chosen(dataset))
            made = Path(folder) / f"model.{form.ending}"
            form.write(exported, made)
            runs = {"file": form.read(made, settings.threads), "original": original(exported.network)}
            parity = compare(runs["original"], runs["file"], images, _BATCH)
            if wrong := parity.broken(self._tolerance):
                raise RunError(f"nothing was written: the {self._format} file is not the model: {wrong}")
            times = {size: self._times(runs, images, size) for size in self._batch_sizes}
            written = made.read_bytes()
        report = self._report(model, exported, parity, len(written), times)
        write_bytes(path, written)
        write_json(path.with_name(REPORT), _known(path.with_name(REPORT)) | {path.name: report}, indent=2)
        return _told(path, report, parity)

    def _found(self) -> tuple[ModelSource, Dataset]:
        given = given_by(self._experiment)
        source = find_source(self._keys, recalibrate=True, given=given)
        dataset = given.dataset or source.dataset()
        if dataset is None:
            raise UserError("which images to compare the file and the model on is unknown: add dataset=NAME")
        if dataset.n_classes != source.n_classes:
            raise UserError(f"the model has {source.n_classes:,} classes, the data set has {dataset.n_classes:,}")
        return source, dataset

    def _place(self, source: ModelSource) -> Path:
        if self._path is not None:
            return self._path
        name = source.name.replace("/", "-") + ("" if self._preprocessing else "-normalised")
        folder = Path() if source.home is None else source.home / FOLDER
        return folder / f"{name}.{FORMATS[self._format].ending}"

    def _chosen(self, dataset: Dataset) -> Images:
        """Return images of the split, (n, 3, height, width), pixels scaled to 0..1."""
        images = dataset.split(self._split)
        rows = np.linspace(0, len(images) - 1, min(self._images, len(images))).round().astype(np.int64)
        return np.array(images.pixels[rows], dtype=np.float32) / np.float32(255)

    def _source(self, model: Model, images: Images) -> tuple[Source, Images]:
        """Return the module to export, and images in the form of its input."""
        network = model.ready.to("cpu")
        if not self._preprocessing:
            if not isinstance(network, Prepared):
                raise UserError("preprocessing=false is for single networks: those of a cascade see different images")
            with torch.no_grad():
                images = Preprocessed(network, torch.nn.Identity())(torch.from_numpy(images)).contiguous().numpy()
            network = network.network
        free, sides = FORMATS[self._format].free_sides(network), (images.shape[2], images.shape[3])
        said = about(model, preprocessing=self._preprocessing, free_sides=free, sides=sides)
        example = np.resize(images, (max(2, min(len(images), 4)), *images.shape[1:]))
        return Source(network, example, free, said), images

    def _times(self, runs: Mapping[str, Run], images: Images, size: int) -> dict[str, float]:
        batch = np.resize(images, (size, *images.shape[1:]))  # repeats images if there are too few
        return latencies(runs, batch, warmup=self._warmup, repeats=self._repeats)

    def _report(
        self, model: Model, source: Source, parity: Parity, size: int, times: Mapping[int, Mapping[str, float]]
    ) -> dict[str, Any]:
        tensors = [*source.network.parameters(), *source.network.buffers()]
        return {
            "format": self._format,
            "model": summary(model.described),
            "description": source.about["description"],
            "outputs": list(output_names(source.network)),
            "preprocessing": self._preprocessing,
            "any_height_and_width": source.free_sides,
            "parity": asdict(parity) | {"split": self._split, "tolerance": self._tolerance},
            "size_mb": {"file": size / 1e6, "original": sum(tensor.nbytes for tensor in tensors) / 1e6},
            "latency_ms": {str(size): dict(found) for size, found in times.items()},
            "measured_on": {"hardware": hardware(torch.device("cpu")), "threads": self._experiment.settings.threads},
            "torch": torch.__version__,
        }


def _known(path: Path) -> dict[str, Any]:
    """Return the reports of earlier exports into the same folder, by file name."""
    try:
        known = read_json(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"'{path}' is damaged ({error}): move it away") from error
    if not isinstance(known, dict):
        raise UserError(f"'{path}' is damaged: move it away")
    return known


def _told(path: Path, report: Mapping[str, Any], parity: Parity) -> str:
    size = report["size_mb"]
    lines = [
        f"{report['model']['name']}: {report['description']}",
        f"  on {parity.images:,} {report['parity']['split']} images {parity.answers}; outputs differ by up to "
        f"{parity.largest_difference:.2g}, the largest is {parity.largest_value:.3g}",
        f"  {size['file']:.3g} MB (the model's tensors: {size['original']:.3g} MB)",
        *(
            f"  a batch of {batch}: {found['file']:.3g} ms (the model in torch: {found['original']:.3g} ms)"
            for batch, found in report["latency_ms"].items()
        ),
        "Open:",
        *(f"  {os.path.relpath(each)}" for each in (path, path.with_name(REPORT))),
    ]
    return "\n".join(lines)
