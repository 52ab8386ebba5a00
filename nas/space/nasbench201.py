"""``space=nasbench201``: search space with all results in tables, so that a search takes seconds."""

import logging
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from statistics import fmean
from typing import IO, Any, Literal, final

import numpy as np
import numpy.typing as npt

from nas.errors import UserError
from nas.files import expanded, write_atomic
from nas.space.base import SpaceSource
from nas.space.cells import EDGES, KEY, OPERATIONS, CellSpace
from nas.space.nasbench201_files import Results, read_cells
from nas.space.table import AdditiveTable, CostTable
from nas.types import MILLION, Floats, Genomes

EPOCHS = (12, 200)
DATASETS = ("cifar10-valid", "cifar10", "cifar100", "ImageNet16-120")
PARTS = {
    "cifar10-valid": {"validation": ("cifar10-valid", "x-valid"), "test": ("cifar10-valid", "ori-test")},
    "cifar10": {"validation": ("cifar10-valid", "x-valid"), "test": ("cifar10", "ori-test")},
    "cifar100": {"validation": ("cifar100", "x-valid"), "test": ("cifar100", "x-test")},
    "ImageNet16-120": {"validation": ("ImageNet16-120", "x-valid"), "test": ("ImageNet16-120", "x-test")},
}
"""Benchmark's names of the training data and of the evaluated part, by data set and split."""

CLASSES = {"cifar10-valid": 10, "cifar10": 10, "cifar100": 100, "ImageNet16-120": 120}

_MEASURED = tuple(dict.fromkeys(pair for parts in PARTS.values() for pair in parts.values()))
_SHAPE = (len(OPERATIONS),) * len(EDGES)
_N = len(OPERATIONS) ** len(EDGES)
_TRUSTED_SEED = 888
"""Seed whose costs are used if seeds differ in cost, as in the benchmark's own reader; they should not differ."""

_SIZES = re.compile(r"\d+(?::\d+)+")
"""Notation of architectures in NATS-Bench's size search space."""

logger = logging.getLogger(__name__)


@final
class NasBench201(SpaceSource):
    """Search space of NAS-Bench-201 (Dong and Yang 2020, arXiv 2001.00326) with its published results.

    The cells are also the topology search space of NATS-Bench (Dong et al. 2021, arXiv 2009.00437). Results are means
    over the seeds of the benchmark, after the last epoch. Latency is that of a batch of 256 images on the benchmark's
    GPU.

    Example:
        >>> from pathlib import Path
        >>> NasBench201(cache=Path("cache"), path=Path("NAS-Bench-201-v1_1-096897.pth"), images="cifar100")
        Traceback (most recent call last):
            ...
        nas.errors.UserError: space.path=... does not exist; give a file or folder of NAS-Bench-201 or NATS-Bench
    """

    def __init__(
        self,
        *,
        cache: Path,
        path: Path,
        images: Literal["cifar10-valid", "cifar10", "cifar100", "ImageNet16-120"] = "cifar10",
        epochs: Literal[12, 200] = 200,
    ) -> None:
        """Read the tables.

        The first time takes minutes. The needed part is then copied to the cache.

        Args:
            cache: Folder of the cache; the copy lies in ``nasbench201/``.
            path: File or folder of NAS-Bench-201 or NATS-Bench. For their names, see
                :func:`nas.space.nasbench201_files.read_cells`.
            images: Data set of the networks' training: ``"cifar10-valid"``, ``"cifar10"``, ``"cifar100"`` or
                ``"ImageNet16-120"``. ``"cifar10"`` follows the benchmark: validation results after training on half of
                the training images, test results after training on all of them. ``"cifar10-valid"`` uses training on
                half of them for both.
            epochs: Number of training epochs of the networks, 12 or 200.

        Raises:
            UserError: If the file does not exist, is damaged, or lacks cells.
        """
        path = expanded(path, "space.path")
        if not path.exists():
            raise UserError(f"space.path={path} does not exist; give a file or folder of NAS-Bench-201 or NATS-Bench")
        accuracies, costs = _cached(path, cache)
        hyper, parts = EPOCHS.index(epochs), PARTS[images]
        self.space = CellSpace()
        self.n_classes = CLASSES[images]
        self._found = {split: accuracies[:, hyper, _MEASURED.index(pair)] for split, pair in parts.items()}
        self._cost = costs[:, hyper, DATASETS.index(parts["validation"][0])]
        missing = np.isnan(np.column_stack([*self._found.values(), self._cost[:, :2]])).any(axis=1).sum()
        if missing:
            raise UserError(
                f"space.path={path} lacks results of {missing:,} of {_N:,} cells for space.images={images} and "
                f"space.epochs={epochs}; use a complete file or folder"
            )
        content = np.column_stack([*self._found.values(), self._cost])
        self.fingerprint = sha256(np.ascontiguousarray(content).tobytes()).hexdigest()

    def costs(self) -> Mapping[str, CostTable]:
        """Return the tables ``"macs"`` and ``"params"``, and ``"latency"`` if all cells have it; see the base class.

        Operations that no path connects to the output are counted, as in the benchmark.
        """
        columns: dict[str, npt.NDArray[Any]] = {
            "macs": np.rint(MILLION * self._cost[:, 0]).astype(np.int64),
            "params": np.rint(MILLION * self._cost[:, 1]).astype(np.int64),
        }
        if not np.isnan(self._cost[:, 2]).any():
            columns["latency"] = 1e9 * self._cost[:, 2]
        genes = range(len(EDGES))
        return {name: AdditiveTable(len(EDGES), [(genes, values.reshape(_SHAPE))]) for name, values in columns.items()}

    def results(self, genomes: Genomes, split: str) -> tuple[Floats, Floats]:
        """Return the top-1 accuracy (%) and the loss (nats) of genomes on a split, (n, 6) -> (n,) each."""
        rows = self._found[split][_index(genomes)]
        return rows[:, 0], rows[:, 1]


def _index(genomes: Genomes) -> Genomes:
    index: Genomes = np.ravel_multi_index(tuple(genomes.T), _SHAPE)
    return index


def _cached(path: Path, cache: Path) -> tuple[Floats, Floats]:
    """Return the result of :func:`_condensed`, from the cache if possible."""
    files = sorted(path.glob("*.pbz2")) if path.is_dir() else [path]
    state = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    target = cache / "nasbench201" / f"{sha256(repr(state).encode()).hexdigest()[:16]}.npz"
    try:
        with np.load(target, allow_pickle=False) as arrays:
            accuracies, costs = arrays["accuracies"], arrays["costs"]
            if str(arrays["sha256"]) == _digest(accuracies, costs):
                return accuracies, costs
    except FileNotFoundError:
        pass
    except Exception as error:  # the type of the exception depends on the place of the damage
        logger.info("%s: %s", type(error).__name__, error)
    if target.exists():
        logger.warning("%s is damaged: it is made anew", target)
    logger.warning("reading the tables in %s: this takes minutes, once", path)
    accuracies, costs = _condensed(path)

    def write(file: IO[bytes]) -> None:
        np.savez(file, accuracies=accuracies, costs=costs, sha256=np.array(_digest(accuracies, costs)))

    write_atomic(target, write)
    return accuracies, costs


def _digest(accuracies: Floats, costs: Floats) -> str:
    return sha256(accuracies.tobytes() + costs.tobytes()).hexdigest()


def _condensed(path: Path) -> tuple[Floats, Floats]:
    """Return the needed part of the tables; missing values are not-a-number.

    Returns:
        Top-1 accuracy (%) and loss (nats), shape (15625, epochs, pairs of ``PARTS``, 2), and multiply-adds (millions),
        parameters (millions) and latency (seconds), shape (15625, epochs, data sets, 3).
    """
    accuracies = np.full((_N, len(EPOCHS), len(_MEASURED), 2), np.nan)
    costs = np.full((_N, len(EPOCHS), len(DATASETS), 3), np.nan)
    space = CellSpace()
    for cell, found in read_cells(path):
        if _SIZES.fullmatch(str(cell)):
            raise UserError(
                f"space.path={path} is NATS-Bench's size search space, whose architectures are channels such as "
                f"{cell}; space=nasbench201 reads its topology search space (NATS-tss-v1_0-3ffb9-simple)"
            )
        try:
            row = _index(space.encode({KEY: cell})[None])[0]
        except UserError as error:
            raise UserError(f"space.path={path} is not laid out as NAS-Bench-201: {error}") from error
        try:
            accuracies[row] = _accuracies(found)
            costs[row] = _costs(found)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f"space.path={path} is not laid out as NAS-Bench-201: {cell}: {type(error).__name__}: {error}"
            ) from error
    return accuracies, costs


def _trials(found: Results, epochs: int, trained: str) -> list[Mapping[str, Any]]:
    results = found.get(str(epochs))
    if results is None:
        return []
    return [results["all_results"][trained, seed] for seed in results["dataset_seed"].get(trained, ())]


def _accuracies(found: Results) -> Floats:
    rows = np.full((len(EPOCHS), len(_MEASURED), 2), np.nan)
    for i, epochs in enumerate(EPOCHS):
        for j, (trained, part) in enumerate(_MEASURED):
            trials = _trials(found, epochs, trained)
            last = [(trial, f"{part}@{trial['epochs'] - 1}") for trial in trials]
            if last:
                rows[i, j, 0] = fmean(trial["eval_acc1es"].get(key, np.nan) for trial, key in last)
                rows[i, j, 1] = fmean(trial["eval_losses"].get(key, np.nan) for trial, key in last)
    return rows


def _costs(found: Results) -> Floats:
    rows = np.full((len(EPOCHS), len(DATASETS), 3), np.nan)
    for i, epochs in enumerate(EPOCHS):
        for j, trained in enumerate(DATASETS):
            trials = _trials(found, epochs, trained)
            if trials:
                rows[i, j, :2] = [_agreed(trials, "flop"), _agreed(trials, "params")]
                latencies = [fmean(trial["latency"]) for trial in trials if trial["latency"]]
                rows[i, j, 2] = fmean(latencies) if latencies else np.nan
    return rows


def _agreed(trials: Sequence[Mapping[str, Any]], name: str) -> float:
    values = [float(trial[name]) for trial in trials]
    if len({f"{value:.5f}" for value in values}) > 1:
        values = [float(trial[name]) for trial in trials if int(trial["seed"]) == _TRUSTED_SEED] or values
    return fmean(values)
