"""``task=validate``: accuracy of a model on a split."""

import csv
import io
import logging
import os
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Unpack, final

import torch
from threadpoolctl import threadpool_limits

from nas.dataset.base import Dataset
from nas.dataset.classes import Matched, matched
from nas.errors import UserError
from nas.experiment import Experiment
from nas.files import check_can_be_written, expanded, write_json, write_text
from nas.model.base import CASCADE, Model, ModelSource
from nas.model.file import own_statistics
from nas.model.find import ModelKeys, ModelOptions, find_source
from nas.model.given import Given, given_by
from nas.model.measure import Tally, answers_of
from nas.plotting.confusion import confusion_figure
from nas.supernet.checkpoint import weights_digest
from nas.task.base import Task
from nas.task.progress import shown
from nas.types import PositiveInt

RESULTS, CLASSES, PICTURE = "results.json", "classes.csv", "confusion.png"
MIB = 2**20

log = logging.getLogger(__name__)


@final
class ValidateTask(Task):
    """Task that measures a model on a split. It writes the metrics, a table of the classes and a confusion matrix.

    Example:
        >>> from nas.cli.compose import experiment_of
        >>> task = experiment_of(["task=validate", "run=outputs/none", "arch=best", "split=test"]).part("task")
        >>> task.check()
        Traceback (most recent call last):
        nas.errors.UserError: run=outputs/none is no folder that exists
    """

    def __init__(
        self,
        *,
        experiment: Experiment,
        split: Literal["test", "validation", "train"] = "test",
        recalibrate: bool | None = None,
        path: Path | None = None,
        batch_size: PositiveInt = 150,
        bins: PositiveInt = 15,
        **keys: Unpack[ModelOptions],
    ) -> None:
        """Set the model and the measurement.

        Args:
            experiment: Experiment of the command line. Only ``dataset``, ``supernet``, ``evaluator``, ``device`` and
                ``threads`` are used.
            split: Split of the data set: ``test``, ``validation`` or ``train``.
            recalibrate: Whether to recalibrate batch norm on training images; ``None`` for the statistics of the model,
                or for those with which the run measured the architecture. ``False`` keeps the statistics of the run's
                supernet.
            path: Folder of the results; ``None`` for ``validation`` in the folder of the run or model, or in
                ``paths.outputs`` if there is neither.
            batch_size: Number of images per batch.
            bins: Number of confidence bins of the calibration error.
            keys: Settings that name the model, see :class:`nas.model.find.ModelOptions`.
        """
        self._experiment = experiment
        self._keys = ModelKeys(**keys)
        self._split = split
        self._recalibrate = recalibrate
        self._path = None if path is None else expanded(path, "path")
        self._batch_size = batch_size
        self._bins = bins

    def check(self) -> None:
        """Find the model and its data, and check that the results can be written.

        Raises:
            UserError: If the model or its data are not found, or the folder is not writable.
        """
        source, images = self._found()
        images.dataset.split(self._split)
        place = self._place(source)
        check_can_be_written(place, f"'{place}'")

    def run(self) -> str:
        """Measure the model, write the results, and return the main ones as text."""
        settings = self._experiment.settings
        torch.set_num_threads(settings.threads)
        source, found = self._found()
        dataset, device = found.dataset, self._given.device
        if found.note:
            log.warning(found.note)
        with threadpool_limits(settings.threads), shown() as progress:
            model = source.load(progress)
            if self._recalibrate and self._keys.run is None:
                model = self._recalibrated(model, dataset)
            images = dataset.split(self._split)
            if device.startswith("cuda"):
                torch.cuda.reset_peak_memory_stats(device)
            tally = Tally(dataset.n_classes, self._bins)
            amp = bool((model.described.get("evaluator") or {}).get("amp", True))
            for answers in answers_of(
                model, images, device=device, batch_size=self._batch_size, amp=amp, progress=progress
            ):
                tally.add(answers)
        results = self._results(model, dataset, tally)
        place = self._place(source)
        write_json(place / RESULTS, results, indent=2)
        write_text(place / CLASSES, _table(tally, dataset.class_names))
        title = f"{source.name}, {self._split}: top-1 {results['metrics']['top1']:.2f} %"
        confusion_figure(place / PICTURE, title=title, confusion=tally.confusion, class_names=dataset.class_names)
        return _told(results, place)

    @property
    def _given(self) -> Given:
        return given_by(self._experiment)

    def _found(self) -> tuple[ModelSource, Matched]:
        given = self._given
        source = find_source(self._keys, recalibrate=self._recalibrate is not False, given=given)
        dataset = given.dataset or source.dataset()
        if dataset is None:
            raise UserError("which images to measure the model on is unknown: add dataset=NAME")
        return source, matched(source.name, source.class_names, source.n_classes, dataset)

    def _place(self, source: ModelSource) -> Path:
        """Return the folder of the results. Its name contains the settings, so that results of others stay."""
        if self._path is not None:
            return self._path
        named = [self._experiment.choices["dataset"]] if self._given.names("dataset") else []
        statistics = {None: [], True: ["recalibrated"], False: ["inherited"]}[self._recalibrate]
        words = "-".join([*named, self._split, *statistics])
        if source.home is None:
            return self._experiment.paths.outputs / "validation" / source.name.replace("/", "-") / words
        within = [source.name] if self._keys.run is not None else []
        return source.home.joinpath("validation", *within, words)

    def _recalibrated(self, model: Model, dataset: Dataset) -> Model:
        """Return the model with batch norm recalibrated on the data set's training images."""
        if model.network is None:
            raise UserError("recalibrate=true is for networks; the statistics of a cascade's are its runs'")
        evaluator = self._experiment.resolved["evaluator"] | {"crop": model.described["crop"]}
        own_statistics(model.network, dataset, evaluator, int(model.described["resolution"]), self._given.device)
        digest = weights_digest(model.network.state_dict())
        return Model(model.name, model.network, model.ready, {**model.described, "weights": digest})

    def _results(self, model: Model, dataset: Dataset, tally: Tally) -> dict[str, Any]:
        described, device = model.described, self._given.device
        weights = described.get("weights") or [member.described["weights"] for member in model.members]
        metrics = tally.metrics()
        costs = {**described["costs"], **{name: metrics.pop(name) for name in ("flops",) if name in metrics}}
        return {
            "model": {key: described[key] for key in ("name", "kind", "source")} | {"weights": weights},
            "images": {
                "split": self._split,
                "number": tally.n_images,
                "dataset": self._experiment.resolved["dataset"]
                if self._given.names("dataset")
                else described["dataset"],
                "fingerprint": dataset.fingerprint,
                "resolution": described.get("resolution"),
            },
            "recalibrated": self._recalibrate,
            "metrics": metrics,
            "calibration_bins": self._bins,
            "costs": costs,
            "speed": {
                "images_per_second": tally.images_per_second(),
                "batch_size": self._batch_size,
                "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu",
                "threads": self._experiment.settings.threads,
            },
            "peak_memory_mib": _peak_memory(device),
            "peak_memory_of": "tensors on the device" if device.startswith("cuda") else "the process",
            "torch": torch.__version__,
        }


def _table(tally: Tally, class_names: tuple[str, ...]) -> str:
    """Return a CSV table with one row per class."""
    text = io.StringIO()
    rows = [row | {"name": name} for row, name in zip(tally.classes(), class_names, strict=True)]
    columns = ["class", "name", "images", "right", "answered", "top1", "precision", "confidence"]
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _peak_memory(device: str) -> float:
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / MIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _told(results: Mapping[str, Any], place: Path) -> str:
    metrics, speed, costs = results["metrics"], results["speed"], results["costs"]
    costs_told = ", ".join(
        f"{costs[name]:.4g} {unit}"
        for name, unit in (("flops", "M FLOPs"), ("params", "M parameters"))
        if name in costs
    )
    lines = [
        f"{results['model']['name']} on {results['images']['number']:,} {results['images']['split']} images:",
        f"  top-1 {metrics['top1']:.2f} %, top-5 {metrics['top5']:.2f} %, loss {metrics['loss']:.4f}, calibration "
        f"error {metrics['calibration_error']:.2f} % ({results['calibration_bins']} bins)",
        f"  {costs_told}; {speed['images_per_second']:,.0f} images/s ({speed['device']}, batches of "
        f"{speed['batch_size']}); peak memory {results['peak_memory_mib']:,.0f} MiB of {results['peak_memory_of']}",
    ]
    if results["model"]["kind"] == CASCADE:
        shares = [f"{value:.1f} %" for name, value in metrics.items() if name.startswith("answered_")]
        lines.append(f"  answered by the networks: {', '.join(shares)} of the images")
    lines += ["Open:", *(f"  {os.path.relpath(place / name)}" for name in (RESULTS, CLASSES, PICTURE))]
    return "\n".join(lines)
