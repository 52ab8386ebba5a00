"""``pool=files``: outputs that other tools computed."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import numpy.typing as npt

from nas.errors import UserError
from nas.files import expanded, file_digest
from nas.pool.base import Split
from nas.pool.model import Computed, PoolModel, SplitOutputs, from_logits, from_probabilities
from nas.pool.output_folder import ArrayFile, ModelFiles, models_in
from nas.pool.stored_pool import StoredPool
from nas.run.folder import short_names
from nas.types import PositiveInt, Progress

CLASSES = "classes.txt"
LABELS = "labels.npz"

Labels = npt.NDArray[np.int64]


@final
class FilesPool(StoredPool):
    """Pool of arrays with outputs and costs from other tools.

    :func:`nas.pool.output_folder.models_in` describes the two folder layouts. Labels come from the model's own files,
    from ``labels.npz`` in the folder (arrays ``validation`` and ``test``), or from the settings. ``classes.txt`` in a
    folder has one class name per line; without it, classes are numbers.

    Example:
        >>> import json, tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from nas.pool.files import FilesPool
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(Path(folder, "small.npz"), validation=np.array([[0.9, 0.1], [0.2, 0.8]]))
        ...     np.savez(Path(folder, "labels.npz"), validation=np.array([0, 0]))
        ...     _ = Path(folder, "models.json").write_text(json.dumps([{"name": "small", "flops": 5}]))
        ...     pool = FilesPool(folders=(Path(folder),), labels={}, cache=Path(folder, "cache"))
        ...     pool.prepare(lambda activity, done, total: None)
        ...     pool.costs["flops"].tolist(), pool.outputs("validation").right().tolist()
        ([5.0], [[True, False]])
    """

    def __init__(
        self,
        *,
        folders: tuple[Path, ...],
        content: Literal["probabilities", "logits"] = "probabilities",
        labels: dict[Literal["validation", "test"], Path | None],
        suffix: str = "",
        workers: PositiveInt = 1,
        cache: Path,
    ) -> None:
        """Find the models; only shapes and labels are read.

        Args:
            folders: Folders of outputs, one for each group of models.
            content: Content of the arrays: ``"probabilities"`` or ``"logits"``.
            labels: Paths of ``.npy`` files with class indices by split, for folders without labels.
            suffix: Suffix of folder names in the original tool's layout, for example ``"_swa20"``.
            workers: Number of models that are read in parallel.
            cache: Cache folder; outputs are stored in its subfolder ``outputs/``.

        Raises:
            UserError: If a folder lacks required files, or they are invalid.
        """
        super().__init__(cache=cache, workers=workers, skip_failed=False)
        places = [expanded(folder, "pool.folders").resolve() for folder in folders]
        self._content = content
        self._given: dict[Split, Labels] = {
            split: _labels(ArrayFile(expanded(path, f"pool.labels.{split}")))
            for split, path in labels.items()
            if path is not None
        }
        self._sizes: dict[Split, tuple[str, int]] = {}  # by split: the first model's name and number of images
        self._found: list[PoolModel] = []
        for group, place in zip(short_names(places, "pool.folders"), places, strict=True):
            self._found += self._models_of(group, place, models_in(place, suffix))
        names = [model.name for model in self._found]
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            raise UserError(f"pool.folders: two models are called {repeated}")

    def _models(self, progress: Progress) -> tuple[Sequence[PoolModel], Mapping[str, str]]:
        return self._found, {}

    def _models_of(self, group: str, folder: Path, found: Sequence[ModelFiles]) -> list[PoolModel]:
        shared = dict(self._given)
        for split in ("validation", "test"):
            stored = ArrayFile(folder / LABELS, split)
            if stored.exists:
                shared[split] = _labels(stored)
        classes = (folder / CLASSES).read_text().splitlines() if (folder / CLASSES).is_file() else None
        return [self._model(group, folder, files, shared, classes) for files in found]

    def _model(
        self, group: str, folder: Path, files: ModelFiles, shared: Mapping[Split, Labels], classes: list[str] | None
    ) -> PoolModel:
        name = f"{group}/{files.name}"
        shapes = {split: file.shape() for split, file in files.outputs.items()}
        labels: dict[Split, Labels] = {}
        for split, shape in shapes.items():
            if len(shape) != 2 or shape[1] < 2 or shape[1] != shapes["validation"][1]:
                raise UserError(f"{name}: outputs on the {split} split have the shape {shape}, not (images, classes)")
            if split in files.labels:
                labels[split] = _labels(files.labels[split])
            elif split in shared:
                labels[split] = shared[split]
            else:
                raise UserError(f"'{folder}' holds no {split} labels: add {LABELS}, or give pool.labels.{split}")
            first, size = self._sizes.setdefault(split, (name, shape[0]))
            if shape[0] != size:
                sizes = f"{size:,} and {shape[0]:,} {split} images"
                raise UserError(f"the pool's models {first} and {name} do not fit each other: {sizes}")
            if len(labels[split]) != shape[0]:
                raise UserError(f"{name}: outputs of {shape[0]:,} {split} images, but {len(labels[split]):,} labels")
            if labels[split].min() < 0 or labels[split].max() >= shape[1]:
                raise UserError(f"{name}: {split} labels are not 0 to {shape[1] - 1}, of {shape[1]} classes")
        n_classes = shapes["validation"][1]
        if classes is not None and len(classes) != n_classes:
            raise UserError(f"'{folder / CLASSES}' has {len(classes)} names, {name} has {n_classes} classes")
        arrays = [*files.outputs.values(), *files.gaps.values()]
        stamps = [[str(a.path), a.member, a.path.stat().st_size, a.path.stat().st_mtime_ns] for a in arrays]
        return PoolModel(
            name=name,
            group=group,
            architecture=files.architecture,
            identity={"kind": "files", "content": self._content, "files": stamps},
            data={},
            class_names=tuple(classes or map(str, range(n_classes))),
            labels=labels,
            costs=files.costs,
            run=partial(self._computed, files),
        )

    def _computed(self, files: ModelFiles) -> Computed:
        """Read the arrays of one model."""
        splits = {split: self._outputs(files, split) for split in files.outputs}
        sources = {str(file.path): file_digest(file.path) for file in files.outputs.values()}
        return Computed(splits=splits, costs={}, facts={"sources": sources})

    def _outputs(self, files: ModelFiles, split: Split) -> SplitOutputs:
        values = files.outputs[split].read()
        if not np.issubdtype(values.dtype, np.floating):
            raise UserError(f"its outputs on the {split} split are of the type {values.dtype}, not floating")
        gaps = files.gaps[split].read() if split in files.gaps else None
        if gaps is not None and gaps.shape != values.shape[:1]:
            raise UserError(f"its gaps on the {split} split have the shape {gaps.shape}, must have {values.shape[:1]}")
        if self._content == "probabilities":
            return from_probabilities(values, gaps)
        found = from_logits(values.astype(np.float32))
        return found if gaps is None else SplitOutputs(found.probabilities, gaps.astype(np.float32))


def _labels(file: ArrayFile) -> Labels:
    values: npt.NDArray[Any] = file.read()
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
        raise UserError(f"'{file.path}' holds no labels: whole numbers, one an image")
    return values.astype(np.int64)
