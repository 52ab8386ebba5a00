"""Result folders of the original tool, NSGANetV2's, as fronts."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np

from nas.dataset.base import Dataset
from nas.errors import UserError
from nas.files import read_json
from nas.model.base import ARCHITECTURE, Model, ModelSource, Progress
from nas.model.front import Front, Member
from nas.model.given import Given
from nas.model.of_config import file_model, own_statistics
from nas.objective.base import TOP1_ERROR
from nas.pareto import non_dominated
from nas.supernet.base import Supernet
from nas.types import Architecture, Measure

UNITS = {"flops": "M multiply-adds", "params": "M", "cpu": "ms", "gpu": "ms"}
"""Of the second objective, by the names that the tool has for it."""

FAILED_ERROR = 100.0
"""The error in percent that the tool writes where an evaluation failed."""


def is_old_run(folder: Path) -> bool:
    """Return whether this is a result folder of the original tool: statistics of iterations, and no settings."""
    return not (folder / "config.yaml").exists() and bool(_iterations(folder))


@final
class OldFront(Front):
    """The front of ``iter_<k>.stats``, k the last iteration: errors and the second objective, ascending in error.

    The tool writes neither which supernet it searched nor what the second objective is: the former is asked for, the
    latter follows from ``iter_0/net_<i>.stats``, where they are there.
    """

    def __init__(self, folder: Path, *, recalibrate: bool, second: str, given: Given) -> None:
        """Read the last iteration.

        Args:
            folder: of the tool's results.
            recalibrate: whether networks get batch-norm statistics of their own.
            second: name of the second objective, where the folder does not tell.
            given: names supernet and data.

        Raises:
            UserError: if files are damaged, or supernet or data are not named.
        """
        self.folder = folder
        self.recalibrate, self.given = recalibrate, given
        path = folder / f"iter_{max(_iterations(folder))}.stats"
        if not given.names("supernet") or not given.names("dataset"):
            raise UserError(
                f"run: '{folder}' holds results of the original tool, which do not say the supernet and the data: add "
                f"supernet=... dataset=..."
            )
        try:
            archive = read_json(path)["archive"]
            rows = [(dict(row[0]), float(row[1]), float(row[2])) for row in archive]
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise UserError(f"run: '{path}' is damaged ({type(error).__name__}: {error})") from error
        rows = [row for row in rows if row[1] < FAILED_ERROR]
        if not rows:
            raise UserError(f"run: '{path}' holds no architecture whose evaluation succeeded")
        name = _second_objective(folder) or second
        self.measures = (TOP1_ERROR, Measure(name, UNITS.get(name, "")))
        values = np.array([row[1:] for row in rows], dtype=np.float64)
        chosen = sorted((rows[i] for i in non_dominated(values)), key=lambda row: row[1:])
        self.members = [Member(row[0], row[1:], {}) for row in chosen]

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
        """Return where the model of a member comes from."""
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
        self._architecture: Architecture = space.decode(space.encode(config))

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
    names = (re.fullmatch(r"iter_(\d+)\.stats", path.name) for path in folder.glob("iter_*.stats"))
    return [int(name[1]) for name in names if name]


def _second_objective(folder: Path) -> str | None:
    """Return which of an evaluation's statistics is the second objective of the archive, if files tell it."""
    known: dict[str, set[str]] = {}
    for architecture, stats in _evaluations(folder):
        known.setdefault(str(architecture), set()).update(
            f"{name} {value}" for name, value in stats.items() if name in UNITS and value is not None
        )
    path = folder / f"iter_{max(_iterations(folder))}.stats"
    possible = set(UNITS)
    looked = False
    for config, _, second in read_json(path)["archive"]:
        facts = known.get(str(config))
        if facts:
            looked = True
            possible &= {fact.split()[0] for fact in facts if float(fact.split()[1]) == float(second)}
    return next(iter(possible)) if looked and len(possible) == 1 else None


def _evaluations(folder: Path) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """Yield the first iteration's architectures and what was measured, as far as their files can be read."""
    for path in sorted(folder.glob("iter_0/net_*.subnet")):
        try:
            yield read_json(path), dict(read_json(path.with_suffix(".stats")))
        except (OSError, ValueError, TypeError):
            continue
