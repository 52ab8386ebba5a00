"""``task=select``: choice of architectures from a Pareto front; each is written as a model folder."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import final

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from nas.errors import UserError
from nas.experiment import Experiment
from nas.files import expanded, read_json
from nas.model.base import MODEL_FILE, Front, ModelSource
from nas.model.find import front_of
from nas.model.folder import check_free, write_model
from nas.model.given import given_by
from nas.pareto import achievements, non_dominated, trade_offs
from nas.task.base import Task
from nas.task.progress import shown
from nas.types import NonNegativeFloat, PositiveInt

TOP1 = "top1"
"""Name of the top-1 accuracy in the setting ``prefer``."""


@final
class SelectTask(Task):
    """Task that chooses members of a Pareto front by preferences or trade-off, as NSGANetV2's tool does.

    With preferences, the task chooses the members with the smallest achievement: the largest ratio of an objective to
    its desired value (:func:`nas.pareto.achievements`). Without preferences, it chooses the members with the largest
    trade-off, the knees of the front (:func:`nas.pareto.trade_offs`).

    Example:
        >>> from nas.cli.compose import experiment_of
        >>> task = experiment_of(["task=select", "run=outputs/none", "prefer.top1=80", "n=2"]).part("task")
        >>> task.check()
        Traceback (most recent call last):
        nas.errors.UserError: run=outputs/none is no folder that exists
    """

    def __init__(
        self,
        *,
        experiment: Experiment,
        run: Path,
        n: PositiveInt = 1,
        prefer: dict[str, NonNegativeFloat | None],
        path: Path | None = None,
        overwrite: bool = False,
    ) -> None:
        """Set the run and the preferences.

        Args:
            experiment: Experiment of the command line. Only ``device`` and ``threads`` are used, and for results of
                the original tool also ``supernet``, ``dataset``, ``evaluator`` and ``sec_obj``.
            run: Folder of a finished run, or of the original tool's results.
            n: Number of members to choose besides the most accurate one.
            prefer: Desired values of objectives by name, in their units; ``None`` for no preference. ``top1`` is the
                accuracy, at most 100 percent.
            path: Folder for the model folders; ``None`` for ``selected/`` in the run folder.
            overwrite: Whether existing models may be replaced.
        """
        self._experiment = experiment
        self._run = expanded(run, "run")
        self._n = n
        self._wanted = {name: value for name, value in prefer.items() if value is not None}
        home = self._run.parent if self._run.is_file() else self._run  # a file of the original tool's results
        self._path = home / "selected" if path is None else expanded(path, "path")
        self._overwrite = overwrite

    def check(self) -> None:
        """Read the front, choose members, and check the folders that will be written.

        Raises:
            UserError: If the run has no front, a preference is wrong, or a folder exists and may not be replaced.
        """
        front = self._front()
        for name, (index, _) in self._chosen(front).items():
            if not self._is_there(self._path / name, front, index):
                check_free(self._path / name, overwrite=self._overwrite)

    def run(self) -> str:
        """Write the models and return the chosen members with their folders as text."""
        settings = self._experiment.settings
        torch.set_num_threads(settings.threads)
        front = self._front()
        lines = [reason(front, self._n, self._wanted)]
        with threadpool_limits(settings.threads), shown() as progress:
            for name, (index, source) in self._chosen(front).items():
                known = self._is_there(self._path / name, front, index)
                if not known:
                    model = source.load(progress)
                    named = replace(model, name=name, described={**model.described, "name": name})
                    write_model(self._path / name, named, overwrite=self._overwrite)
                values = zip(front.measures, front.members[index].objectives, strict=True)
                objectives = ", ".join(f"{measure.words} {value:.4g} {measure.short_unit}" for measure, value in values)
                place = os.path.relpath(self._path / name)
                there = ", is there already" if known else ""
                lines.append(f"  {place}: member {index}{self._best(front, index)}, {objectives}{there}")
        return "\n".join(lines)

    def _front(self) -> Front:
        given = given_by(self._experiment)
        second = next(iter(self._experiment.resolved["sec_obj"]), "flops")
        return front_of(self._run, recalibrate=True, given=given, second=second)

    def _chosen(self, front: Front) -> dict[str, tuple[int, ModelSource]]:
        """Return the index and the model source of each chosen member, by folder name."""
        indices = choose(front, self._n, self._wanted)
        names = folder_names(front, indices)
        return {name: (index, front.source(index)) for name, index in zip(names, indices, strict=True)}

    def _is_there(self, folder: Path, front: Front, index: int) -> bool:
        """Return whether a folder already contains this member with the same objectives; always false to overwrite."""
        if self._overwrite:
            return False
        try:
            described = read_json(folder / MODEL_FILE)
            known = described["objectives"], described.get("architecture", {"networks": described.get("networks")})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False
        member = front.members[index]
        wanted = dict(member.architecture)
        if "networks" in wanted:
            wanted = {"networks": list(wanted["networks"])}
        names = [measure.name for measure in front.measures]
        return known == (dict(zip(names, member.objectives, strict=True)), wanted)

    @staticmethod
    def _best(front: Front, index: int) -> str:
        return " (the most accurate)" if index == front.best else ""


def choose(front: Front, n: int, wanted: Mapping[str, float]) -> list[int]:
    """Return the indices of the :func:`preferred` members and of the most accurate member, ascending."""
    return sorted({*preferred(front, n, wanted), front.best})


def preferred(front: Front, n: int, wanted: Mapping[str, float]) -> list[int]:
    """Return the indices of up to ``n`` members by preferences or by trade-off.

    Args:
        front: Front of a run. Members that are dominated with the final weights are not chosen.
        n: Number of members.
        wanted: Desired values by name, see :class:`SelectTask`; empty for the trade-off.

    Raises:
        UserError: If a name is not an objective of the run, or the accuracy is above 100 percent.
    """
    places = {measure.name: place for place, measure in enumerate(front.measures)}
    values = dict(wanted)
    if TOP1 in values:
        if values[TOP1] > 100:
            raise UserError(f"prefer.top1={values[TOP1]:g} is wrong: an accuracy is at most 100 percent")
        values[front.measures[0].name] = 100 - values.pop(TOP1)
    for name in values:
        if name not in places:
            known = ", ".join([TOP1, *(measure.name for measure in front.measures[1:])])
            raise UserError(f"prefer.{name} is no objective of this run; its preferences may be {known}")
    points = np.array([member.objectives for member in front.members], dtype=np.float64)
    kept = non_dominated(points)
    if values:
        columns = [places[name] for name in values]
        order = np.argsort(achievements(points[kept][:, columns], np.array(list(values.values()))), kind="stable")
        chosen = kept[order[:n]]
    else:
        chosen = kept[np.argsort(-trade_offs(points[kept]), kind="stable")[:n]]
    indices: list[int] = chosen.tolist()
    return indices


def reason(front: Front, n: int, wanted: Mapping[str, float]) -> str:
    """Return a sentence that says how :func:`choose` chose the members."""
    how = "by trade-off"
    if wanted:
        how = "closest to " + ", ".join(f"{name} {value:g}" for name, value in wanted.items())
    picked = preferred(front, n, wanted)
    best = "; and the most accurate one, which is always written"
    if front.best in picked:
        best = ", the most accurate one among them"
    return f"Chosen of {len(front.members)} members of the front: {len(picked)} {how} (n={n}){best}:"


def folder_names(front: Front, indices: Sequence[int]) -> list[str]:
    """Return a folder name for each member from its second objective, for example ``net-flops@150`` as in NSGANetV2.

    Values are rounded to whole numbers. They have four significant digits if a value is below 10 or two members would
    have the same name, and the member's index is added if the names are still equal.
    """
    measure = front.measures[1]
    values = [front.members[index].objectives[1] for index in indices]
    kind = "cascade" if front.members[0].is_cascade else "net"
    rounded = [f"{value:.0f}" for value in values]
    if min(values) < 10 or len(set(rounded)) < len(rounded):
        rounded = [f"{value:.4g}" for value in values]
    if len(set(rounded)) < len(rounded):
        rounded = [f"{text}-{index}" for text, index in zip(rounded, indices, strict=True)]
    return [f"{kind}-{measure.name}@{text}" for text in rounded]
