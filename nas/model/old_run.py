"""Result folders of the original tool, NSGANetV2's, as fronts."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np

from nas.dataset.base import Dataset
from nas.errors import UserError
from nas.files import read_json
from nas.model.base import ARCHITECTURE, Front, Member, Model, ModelSource
from nas.model.file import encoded, file_model, own_statistics
from nas.model.given import Given
from nas.objective.base import TOP1_ERROR
from nas.pareto import non_dominated
from nas.supernet.base import Supernet
from nas.supernet.checkpoint import RANDOM
from nas.types import MILLION, Architecture, Measure, Progress

UNITS = {"flops": "M multiply-adds", "params": "M", "cpu": "ms", "gpu": "ms"}
"""Of the second objective, by the names that the tool has for it."""

LATENCY = "latency"
"""The name of a second objective that is neither FLOPs nor parameters, where nothing tells the device."""

_AGREE = 2.0
"""Largest ratio of the tool's value and the exact one: it counts more operations, classifiers and widths may differ."""

_STATS = re.compile(r"iter_(\d+)\.stats")

_POSITION = ("position", "threshold")
"""Keys of an architecture that say its place in a cascade, where ENCAS searched those."""

FAILED_ERROR = 100.0
"""The error in percent that the tool writes where an evaluation failed."""


def is_old_run(folder: Path) -> bool:
    """Return whether a folder holds results of the original tool: statistics of iterations without settings."""
    if folder.is_file():
        return bool(_STATS.fullmatch(folder.name)) and not (folder.parent / "config.yaml").exists()
    return not (folder / "config.yaml").exists() and bool(_iterations(folder))


@final
class OldFront(Front):
    """The front of ``iter_<k>.stats``, k the last iteration: errors and the second objective, ascending in error.

    The tool writes neither its supernet nor its second objective. The supernet must be named; the second objective
    follows from ``iter_0/net_<i>.stats`` if these files exist.
    """

    def __init__(self, place: Path, *, recalibrate: bool, second: str, given: Given) -> None:
        """Read an iteration.

        Args:
            place: Folder of the tool's results, whose last iteration is read, or its ``iter_<k>.stats``.
            recalibrate: Whether networks get batch-norm statistics of their own.
            second: Name of the second objective, where the folder does not tell.
            given: Names supernet and data.

        Raises:
            UserError: If files are damaged, or supernet or data are not named.
        """
        folder = place if place.is_dir() else place.parent
        self.path = folder / f"iter_{max(_iterations(folder))}.stats" if place.is_dir() else place
        self.folder = folder
        self.recalibrate, self.given = recalibrate, given
        if not given.names("supernet") or not given.names("dataset"):
            raise UserError(
                f"run: '{folder}' holds results of the original tool, which do not say the supernet and the data: add "
                f"supernet=... dataset=..."
            )
        rows = [row for row in _rows(self.path) if row[1] < FAILED_ERROR and np.isfinite(row[2])]
        if not rows:
            raise UserError(f"run: '{self.path}' holds no architecture whose evaluation succeeded")
        rows = list({str(row[0]): row for row in rows}.values())  # the last of those that were evaluated twice
        values = np.array([row[1:] for row in rows], dtype=np.float64)
        chosen = sorted((rows[i] for i in non_dominated(values)), key=lambda row: row[1:])
        self.members = [Member(row[0], row[1:], {}) for row in chosen]
        name = _second_objective(folder, rows) or (self._by_cost() if second == "flops" else second)
        self.measures = (TOP1_ERROR, Measure(name, UNITS.get(name, "ms")))

    def _by_cost(self) -> str:
        """Return the second objective that agrees with the members' exact costs."""
        supernet = self.given.supernet(self.dataset.n_classes, RANDOM)
        genomes = np.stack([encoded(supernet.space, member.architecture, self.path) for member in self.members])
        values = np.array([member.objectives[1] for member in self.members])
        distances = {}
        for name, table in (("flops", "macs"), ("params", "params")):
            ratios = values / (supernet.costs()[table](genomes) / MILLION)
            distances[name] = float(np.abs(np.log(np.maximum(ratios, np.finfo(float).tiny))).max())
        nearest = min(distances, key=lambda name: distances[name])
        return nearest if distances[nearest] <= np.log(_AGREE) else LATENCY

    @cached_property
    def dataset(self) -> Dataset:
        """The data set that is named."""
        assert self.given.dataset is not None
        return self.given.dataset

    @cached_property
    def supernet(self) -> Supernet:
        """The supernet that is named, with its weights."""
        supernet = self.given.supernet(self.dataset.n_classes)
        if not supernet.trained:
            raise UserError(
                f"run: '{self.folder}' holds results of the original tool, which searched published supernets: name "
                f"one of those with supernet=..."
            )
        return supernet

    def source(self, index: int) -> ModelSource:
        """Return the source of a member's model."""
        return _OldArchitecture(self, self.members[index].architecture, f"net-{index}", index)

    def source_of(self, config: Mapping[str, Any], name: str) -> ModelSource:
        """Return where the model of any architecture of the supernet comes from."""
        return _OldArchitecture(self, config, name, None)


@final
class _OldArchitecture(ModelSource):
    """An architecture with its part of the supernet's weights."""

    def __init__(self, front: OldFront, config: Mapping[str, Any], name: str, index: int | None) -> None:
        """Describe it; UserError if it is none of the supernet's."""
        self.name, self.home = name, front.folder
        self.n_classes = front.dataset.n_classes
        space = front.supernet.space
        self._front, self._index = front, index
        source = None if index is None else front.path
        self._architecture: Architecture = space.decode(encoded(space, config, source))

    def dataset(self) -> Dataset:
        """Return the data set that is named."""
        return self._front.dataset

    def load(self, progress: Progress) -> Model:
        """Return the network."""
        front, architecture, given = self._front, self._architecture, self._front.given
        network = front.supernet.extract(architecture).to(given.device)
        side = architecture.config["r"]
        evaluator = given.settings.get("evaluator") or {}
        if front.recalibrate:
            own_statistics(network, front.dataset, evaluator, side, given.device)
        known = {
            "kind": ARCHITECTURE,
            "supernet": given.settings["supernet"],
            "architecture": dict(architecture.config),
            "genome": list(architecture.genome),
            "recalibrated": front.recalibrate,
            "source": {"run": str(front.folder.resolve()), "index": self._index},
        }
        sizes = {"n_classes": self.n_classes, "resolution": side}
        model = file_model(network, known, name=self.name, given=given, **sizes)
        if self._index is None:
            return model
        names = [measure.name for measure in front.measures]
        objectives = dict(zip(names, front.members[self._index].objectives, strict=True))
        units = {measure.name: measure.unit for measure in front.measures}
        return replace(model, described={**model.described, "objectives": objectives, "units": units})


def _iterations(folder: Path) -> list[int]:
    names = (_STATS.fullmatch(path.name) for path in folder.glob("iter_*.stats"))
    return [int(name[1]) for name in names if name]


def _rows(path: Path) -> list[tuple[dict[str, Any], float, float]]:
    """Return the architectures of a file with their errors and second objectives.

    ENCAS's files hold a list with one architecture in place of NSGANetV2's architecture, and may have longer rows.

    Raises:
        UserError: If it is damaged; the message names the file and the row.
    """
    try:
        archive = list(read_json(path)["archive"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"run: '{path}' is damaged ({type(error).__name__}: {error})") from error
    return [_row(row, f"run: row {number} of the archive in '{path}'") for number, row in enumerate(archive)]


def _row(row: Any, where: str) -> tuple[dict[str, Any], float, float]:
    if not isinstance(row, list) or len(row) < 3:
        said = f"has {len(row)} entries" if isinstance(row, list) else "is no list"
        raise UserError(f"{where} {said}; it must hold an architecture, its error and its second objective")
    architectures, error, second = row[:3]
    if isinstance(architectures, list) and len(architectures) > 1:
        raise UserError(
            f"{where} holds a cascade of {len(architectures)} networks: use the results of one supernet, which "
            f"ENCAS's extract_supernet_from_joint.py writes"
        )
    architecture = architectures[0] if isinstance(architectures, list) and architectures else architectures
    if not isinstance(architecture, dict):
        raise UserError(f"{where} holds no architecture such as {{'ks': [...], 'e': [...], 'd': [...], 'r': 224}}")
    try:
        return {key: value for key, value in architecture.items() if key not in _POSITION}, float(error), float(second)
    except (TypeError, ValueError):
        raise UserError(f"{where}: error {error!r} and second objective {second!r} must be numbers") from None


def _second_objective(folder: Path, rows: Sequence[tuple[Mapping[str, Any], float, float]]) -> str | None:
    """Return the name of the second objective among an evaluation's statistics, if files tell it.

    Args:
        folder: Folder of the results.
        rows: Rows of the archive, without failed evaluations.
    """
    known: dict[str, list[Mapping[str, Any]]] = {}
    for architecture, stats in _evaluations(folder):
        known.setdefault(str(architecture), []).append(stats)
    possible, looked = set(UNITS), False
    for architecture, _, second in rows:
        if facts := known.get(str(architecture)):
            looked = True
            possible &= {name for stats in facts for name in UNITS if stats.get(name) == second}
    return next(iter(possible)) if looked and len(possible) == 1 else None


def _evaluations(folder: Path) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """Yield architectures with their measurements, as far as files can be read."""
    for path in sorted(folder.glob("iter_*/net_*.subnet")):
        try:
            yield read_json(path), dict(read_json(path.with_suffix(".stats")))
        except (OSError, ValueError, TypeError):
            continue
