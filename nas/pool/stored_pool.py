"""Base class for pools that store outputs on disk, so that each model runs only once."""

import logging
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nas.cache import check_cache
from nas.errors import DiskError, NasError, RunError, UserError
from nas.pool.array_folder import (
    RECORD,
    Stream,
    digest_of,
    locked,
    open_array,
    plain_digest,
    read_facts,
    write_arrays,
)
from nas.pool.base import SPLITS, Outputs, Pool, Split
from nas.pool.model import Computed, PoolModel
from nas.types import PositiveInt, Progress

BLOCK_BYTES = 2**26
"""Size of the block of outputs of all models that is combined at a time, in bytes."""

log = logging.getLogger(__name__)

Facts = Mapping[str, Any]


class StoredPool(Pool):
    """Base class for pools with outputs in ``<cache>/outputs/<key>``; the key is a hash of weights, data and code.

    The outputs of all models together are in ``<cache>/outputs/pools/<key>/<split>``, image by image. A pass over the
    images therefore reads the file from beginning to end, and memory holds only the part in use.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from nas.pool.stored_pool import StoredPool
        >>> class Empty(StoredPool):
        ...     def _models(self, progress):
        ...         return [], {"small": "no weights"}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Empty(cache=Path(folder), workers=1, skip_failed=True).has_outputs
        True
    """

    def __init__(self, *, cache: Path, workers: PositiveInt, skip_failed: bool) -> None:
        """Describe the store.

        Args:
            cache: Cache folder; outputs are stored in its subfolder ``outputs/``.
            workers: Number of models that are run in parallel, in threads.
            skip_failed: Whether to leave out models that raise errors. Otherwise the first error ends the preparation.
        """
        self._folder = cache / "outputs"
        self._workers = workers
        check_cache(cache)
        self._skip_failed = skip_failed
        self._chosen: list[PoolModel] = []
        self._digests: list[Mapping[str, str]] = []  # of each model's files

    @abstractmethod
    def _models(self, progress: Progress) -> tuple[Sequence[PoolModel], Mapping[str, str]]:
        """Return the models, and the models that cannot be used with the reason.

        Args:
            progress: Progress function, see :meth:`prepare`.
        """

    def prepare(self, progress: Progress) -> None:
        """Run the models whose outputs are missing, and combine the outputs of all models."""
        if self._chosen:
            return
        models, failed = self._models(progress)
        self.failed = dict(failed)
        if models:
            check_agreement(models)
        facts = self._run_missing(models, progress)
        chosen = [model for model in models if model.name in facts]
        if self.failed:
            order = [*failed, *(model.name for model in models if model.name not in facts)]
            self.failed = {name: self.failed[name] for name in order}
            reasons = [f"{name} ({reason})" for name, reason in self.failed.items()]
            log.warning("%d models are left out of the pool: %s", len(reasons), "; ".join(reasons))
        if not chosen:
            raise UserError("no model of the pool can be used: " + "; ".join(self.failed.values()))
        self._describe(chosen, [facts[model.name] for model in chosen])
        self._chosen = chosen
        for split in self.splits:
            self._stacked(split, thorough=False)

    def outputs(self, split: Split) -> Outputs:
        """Return the outputs of all models on a split, memory-mapped; damaged files are made again."""
        if not self._chosen:
            raise RunError("the pool's outputs were asked for before they were prepared")
        if split not in self.splits:
            raise UserError(f"the pool has no outputs on the {split} split")
        folder = self._stacked(split, thorough=True)
        return Outputs(
            probabilities=open_array(folder, "probabilities").transpose(1, 0, 2),
            gaps=np.asarray(open_array(folder, "gaps")),
            labels=np.array(self._chosen[0].labels[split], dtype=np.int64),
        )

    def size(self, split: Split) -> int:
        """Return the number of images in a split without reading outputs."""
        return len(self._chosen[0].labels[split])

    def _run_missing(self, models: Sequence[PoolModel], progress: Progress) -> dict[str, Facts]:
        """Run the models that have no stored outputs; return the stored facts of each model by name."""
        facts: dict[str, Facts] = {}
        waiting: list[PoolModel] = []
        for model in models:
            known = read_facts(self._folder / model.key, thorough=False)
            if known is None:
                waiting.append(model)
            else:
                facts[model.name] = known
        with ThreadPoolExecutor(self._workers) as pool:
            try:
                started = {pool.submit(self._run, model): model for model in waiting}
                for done, (name, stored) in enumerate(self._finished(started), start=1):
                    if stored is not None:
                        facts[name] = stored
                    progress(name, len(models) - len(waiting) + done, len(models))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return facts

    def _finished(self, started: Mapping[Future[Facts], PoolModel]) -> Iterator[tuple[str, Facts | None]]:
        """Yield each model's name and facts when it is finished; the facts are ``None`` if it failed and is skipped."""
        for future in as_completed(started):
            name = started[future].name
            try:
                yield name, future.result()
            except Exception as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                if not self._skip_failed or isinstance(error, DiskError):
                    kind = type(error) if isinstance(error, NasError) else RunError
                    raise kind(f"the pool's model {name} cannot be used: {reason}") from error
                self.failed = {**self.failed, name: reason}
                yield name, None

    def _run(self, model: PoolModel) -> Facts:
        """Run a model and store its outputs, unless another process has stored them in the meantime."""
        folder = self._folder / model.key
        with locked(folder):
            if (known := read_facts(folder, thorough=False)) is not None:
                return known
            computed = model.run()
            _check_shapes(model, computed)
            arrays: dict[str, npt.NDArray[Any]] = {}
            for split, found in computed.splits.items():
                arrays |= {f"{split}_probabilities": found.probabilities, f"{split}_gaps": found.gaps}
            facts = {"costs": dict(computed.costs), "identity": dict(model.identity)} | dict(computed.facts)
            write_arrays(folder, arrays, facts)
            return cast(Facts, read_facts(folder, thorough=False))

    def _describe(self, models: Sequence[PoolModel], facts: Sequence[Facts]) -> None:
        """Set the pool's public attributes."""
        self.names = tuple(model.name for model in models)
        self.groups = tuple(model.group for model in models)
        self.architectures = tuple(model.architecture for model in models)
        self.class_names = models[0].class_names
        self.splits = tuple(split for split in SPLITS if split in models[0].labels)
        costs = [{**stored["costs"], **model.costs} for model, stored in zip(models, facts, strict=True)]
        common = sorted(set.intersection(*map(set, costs)))
        self.costs = {name: np.array([each[name] for each in costs], dtype=np.float64) for name in common}
        self._digests = [stored["digests"] for stored in facts]
        keys = [model.key for model in models]
        labels = {split: digest_of(models[0].labels[split]) for split in self.splits}
        self.fingerprint = plain_digest([keys, costs, labels, list(self.class_names)])

    def _stacked(self, split: Split, *, thorough: bool) -> Path:
        """Return the folder with the outputs of all models on a split; make it if it is absent or damaged."""
        folder = self._folder / "pools" / self.fingerprint[:32] / split
        if read_facts(folder, thorough=thorough) is None:
            with locked(folder):
                if read_facts(folder, thorough=thorough) is None:
                    self._stack(split, folder)
        return folder

    def _stack(self, split: Split, folder: Path) -> None:
        with ThreadPoolExecutor(self._workers) as pool:
            whole = list(pool.map(lambda model: read_facts(self._folder / model.key, thorough=True), self._chosen))
        for model, facts, digests in zip(self._chosen, whole, self._digests, strict=True):
            if facts is None:
                (self._folder / model.key / RECORD).unlink(missing_ok=True)
                if self._run(model)["digests"] != digests:  # although weights, data and code are the same
                    log.warning("the pool's model %s gives other outputs than before, which are used now", model.name)
        places = [self._folder / model.key for model in self._chosen]
        sources = [open_array(place, f"{split}_probabilities") for place in places]
        n, c = sources[0].shape
        rows = max(1, BLOCK_BYTES // (2 * len(sources) * c))
        blocks = (np.stack([source[start : start + rows] for source in sources], axis=1) for start in range(0, n, rows))
        gaps = np.stack([open_array(place, f"{split}_gaps") for place in places])
        probabilities = Stream((n, len(sources), c), np.float16, blocks)
        write_arrays(folder, {"probabilities": probabilities, "gaps": gaps}, {"models": list(self.names)})


def _check_shapes(model: PoolModel, computed: Computed) -> None:
    """Check that outputs fit the labels.

    Raises:
        RunError: If their shapes differ.
    """
    for split, labels in model.labels.items():
        found, expected = computed.splits[split].probabilities.shape, (len(labels), len(model.class_names))
        if found != expected:
            raise RunError(f"its outputs on the {split} split have the shape {found}, must have {expected}")


def check_agreement(models: Sequence[PoolModel]) -> None:
    """Check that all models have the same classes, data, splits, sizes and labels.

    Args:
        models: Models of a pool, at least one.

    Raises:
        UserError: If two models, which are named, disagree.
    """
    first = models[0]
    for other in models[1:]:
        difference = _difference(first, other)
        if difference is not None:
            raise UserError(f"the pool's models {first.name} and {other.name} do not fit each other: {difference}")


def _difference(first: PoolModel, other: PoolModel) -> str | None:
    """Return the first difference between two models; ``None`` if there is none."""
    if len(first.class_names) != len(other.class_names):
        return f"{len(first.class_names):,} and {len(other.class_names):,} classes"
    for label, (a, b) in enumerate(zip(first.class_names, other.class_names, strict=True)):
        if a != b:
            return f"class {label} is '{a}' and '{b}'"
    for key in sorted(first.data.keys() | other.data.keys()):
        if first.data.get(key) != other.data.get(key):
            return f"their data differ, {key} is {first.data.get(key)} and {other.data.get(key)}"
    return _labels(first, other)


def _labels(first: PoolModel, other: PoolModel) -> str | None:
    """Return the first difference between the splits and labels of two models; ``None`` if there is none."""
    if first.labels.keys() != other.labels.keys():
        return f"outputs on {', '.join(first.labels)} and on {', '.join(other.labels)}"
    for split in SPLITS:
        if split in first.labels and first.labels[split] is not other.labels[split]:
            mine, theirs = first.labels[split], other.labels[split]
            if len(mine) != len(theirs):
                return f"{len(mine):,} and {len(theirs):,} {split} images"
            if not np.array_equal(mine, theirs):
                image = int(np.flatnonzero(mine != theirs)[0])
                return f"the label of {split} image {image} is {mine[image]} and {theirs[image]}"
    return None
