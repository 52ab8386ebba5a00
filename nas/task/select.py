"""``task=select``: the architectures of a search that somebody will use, each as the folder of a model."""

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
"""What the top-1 accuracy is called among preferences."""


@final
class SelectTask(Task):
    """Task that chooses members of a Pareto front by preferences or trade-off, as NSGANetV2's tool does.

    With preferences those members are chosen whose largest objective, as a share of the wanted value, is smallest;
    without, those where the front bends most (see :func:`nas.pareto.achievements` and
    :func:`nas.pareto.trade_offs`).

    Example:
        >>> SelectTask.has_run_folder
        False
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
        """Take what to choose.

        Args:
            experiment: Experiment of the command line; ``device``, and for results of the original tool ``supernet``,
                ``dataset``, ``evaluator`` and ``sec_obj`` count.
            run: Folder of a finished run, or of the original tool's results.
            n: Number of members to choose besides the most accurate one.
            prefer: Wanted values of objectives by name, in their units; ``top1`` is the accuracy, percent. ``None`` for
                none.
            path: Folder of the models' folders; ``None`` for ``selected/`` in the run's.
            overwrite: Whether models that are there may be replaced.
        """
        self._experiment = experiment
        self._run = expanded(run, "run")
        self._n = n
        self._wanted = {name: value for name, value in prefer.items() if value is not None}
        home = self._run.parent if self._run.is_file() else self._run  # a file of the original tool's results
        self._path = home / "selected" if path is None else expanded(path, "path")
        self._overwrite = overwrite

    def check(self) -> None:
        """Read the front, choose, and look at where models go."""
        front = self._front()
        for name, (index, _) in self._chosen(front).items():
            if not self._is_there(self._path / name, front, index):
                check_free(self._path / name, overwrite=self._overwrite)

    def run(self) -> str:
        """Write the models, and return what was chosen and where it is."""
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
        """Return the chosen members and where their models come from, by the names of their folders."""
        indices = choose(front, self._n, self._wanted)
        names = folder_names(front, indices)
        return {name: (index, front.source(index)) for name, index in zip(names, indices, strict=True)}

    def _is_there(self, folder: Path, front: Front, index: int) -> bool:
        """Return whether a folder holds this member, with the same objectives, and is not to be replaced."""
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
    """Return the indices of those that :func:`preferred` returns and of the most accurate one, ascending."""
    return sorted({*preferred(front, n, wanted), front.best})


def preferred(front: Front, n: int, wanted: Mapping[str, float]) -> list[int]:
    """Return the indices of up to ``n`` members by preferences or by trade-off.

    Args:
        front: Front of a run; members that are dominated with the final weights are not chosen.
        n: Members that are wanted.
        wanted: Values by name; see :class:`SelectTask`.

    Raises:
        UserError: If an objective is wanted that the run did not search, or an accuracy that there is not.
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
    """Return which members :func:`choose` returns, for people."""
    how = "by trade-off"
    if wanted:
        how = "closest to " + ", ".join(f"{name} {value:g}" for name, value in wanted.items())
    picked = preferred(front, n, wanted)
    best = "; and the most accurate one, which is always written"
    if front.best in picked:
        best = ", the most accurate one among them"
    return f"Chosen of {len(front.members)} members of the front: {len(picked)} {how} (n={n}){best}:"


def folder_names(front: Front, indices: Sequence[int]) -> list[str]:
    """Return a name for the folder of each member after its second objective, as the original tool names them.

    It rounds to whole numbers, ``net-flops@150``; where that does not tell members apart, or the objective is below 10,
    there are four digits.
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
