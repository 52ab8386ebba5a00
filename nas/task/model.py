"""The keys that name a model, as the tasks that work on one share them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.experiment import Experiment
from nas.model.base import ModelSource
from nas.model.find import find_source
from nas.model.given import Given
from nas.types import PositiveInt

Arch = str | int | dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ModelKeys:
    """Which model a command line means.

    Attributes:
        run: folder of a finished run.
        arch: of it: an index of ``front.json``, ``"best"``, or an architecture as JSON or a file.
        model: instead: a folder of ``task=select`` or ``task=finetune``, a ``net.config`` or ``.subnet`` file, or
            ``timm:NAME``.
        weights: of a file or timm's model: a path, or ``"random"``.
        r: side of the square input in pixels, where the model does not say it.
    """

    run: Path | None
    arch: str | int | Mapping[str, Any]
    model: str | None
    weights: str | None
    r: PositiveInt | None


def given_by(experiment: Experiment) -> Given:
    """Return what a command line names beside a model.

    Tasks whose ``conf/task`` file chooses ``dataset: none`` and ``supernet: none`` by default can tell whether others
    were named.

    Raises:
        UserError: if the device is not there.
    """
    return Given(
        settings={group: experiment.resolved[group] for group in ("dataset", "supernet", "evaluator")},
        device=experiment.device,
        cache=experiment.paths.cache,
        allowed=experiment.allowed,
    )


def source_of(keys: ModelKeys, experiment: Experiment, *, recalibrate: bool) -> ModelSource:
    """Return where the model comes from; nothing is trained, run or written.

    Args:
        keys: of the model.
        experiment: what else the command line says.
        recalibrate: whether architectures of runs get batch-norm statistics of their own, as their run computed them.

    Raises:
        UserError: if there is no such model.
    """
    return find_source(
        run=keys.run,
        arch=keys.arch,
        model=keys.model,
        weights=keys.weights,
        resolution=keys.r,
        recalibrate=recalibrate,
        given=given_by(experiment),
    )
