"""Data, supernet and evaluator that a command line names besides a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from nas.dataset.base import Dataset
from nas.errors import UserError
from nas.experiment import COMMAND_LINE, Experiment
from nas.run.folder import told
from nas.supernet.base import Supernet
from nas.targets import NO_OTHERS, Allowed

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""What published networks normalise images with, where no data set says otherwise."""

NOTHING = {"dataset": "nas.dataset.none.NoImages", "supernet": "nas.supernet.none.NoSupernet"}
"""The choices of these groups that name nothing."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """Settings, and where networks are and files are kept.

    Attributes:
        settings: The nodes of ``dataset``, ``supernet`` and ``evaluator``, as far as they are named.
        device: Torch device of the networks.
        cache: Folder of downloaded files and decoded images.
        allowed: Classes from outside ``nas`` that settings, and those of folders, may name.
        parts: Objects by group that a run was made with in place of settings.
    """

    settings: Mapping[str, Any]
    device: str
    cache: Path
    allowed: Allowed = NO_OTHERS
    parts: Mapping[str, Any] = field(default_factory=dict)

    def names(self, group: str) -> bool:
        """Return whether ``dataset`` or ``supernet`` is named."""
        node = self.settings.get(group)
        return isinstance(node, Mapping) and node.get("_target_") not in (None, NOTHING[group])

    def for_runs(self) -> dict[str, Any]:
        """Return the keyword arguments for :class:`nas.run.finished.FinishedRun`."""
        named = self.settings["dataset"] if self.names("dataset") else None
        return {"device": self.device, "cache": self.cache, "allowed": self.allowed, "named": named} | {
            "parts": self.parts
        }

    @cached_property
    def dataset(self) -> Dataset | None:
        """The data set, if one is named."""
        return dataset_of(self.settings, self.device, self.cache, COMMAND_LINE, self.allowed)

    def supernet(self, n_classes: int, checkpoint: str | None = None) -> Supernet:
        """Build the supernet that is named.

        Args:
            n_classes: Outputs of its classifier.
            checkpoint: Instead of the one that is named; supernets that are trained from scratch have none.

        Raises:
            UserError: If none is.
        """
        if not self.names("supernet"):
            raise UserError("which supernet the architecture is of is unknown: add supernet=NAME")
        node = dict(self.settings["supernet"])
        if checkpoint is not None and "checkpoint" in node:
            node["checkpoint"] = checkpoint
        experiment = _experiment({"supernet": node}, self.device, self.cache, COMMAND_LINE, self.allowed)
        return experiment.changed(n_classes=n_classes).supernet

    def check_resolution(self, side: object) -> None:
        """Raise UserError unless a side in pixels is a resolution of the named supernet."""
        choices = (self.settings.get("supernet") or {}).get("resolutions")
        if isinstance(side, int) and isinstance(choices, list) and side not in choices:
            listed = ", ".join(map(str, choices))
            raise UserError(
                f"r={side} is no resolution of the supernet, which has {listed}: add supernet.resolutions=[{side}]"
            )

    @property
    def crop(self) -> float:
        """The share of the images' sides that networks see."""
        evaluator = self.settings.get("evaluator") or {}
        return float(evaluator.get("crop", 1.0))


def given_by(experiment: Experiment) -> Given:
    """Return the other things that a command line names besides a model.

    Tasks whose ``conf/task`` file chooses ``dataset: none`` and ``supernet: none`` by default can tell whether others
    were named.

    Raises:
        UserError: If the device is not there.
    """
    return Given(
        settings={group: experiment.resolved[group] for group in ("dataset", "supernet", "evaluator")},
        device=experiment.device,
        cache=experiment.paths.cache,
        allowed=experiment.allowed,
    )


def data_of(dataset: Dataset) -> dict[str, Any]:
    """Return the record of a data set for ``model.json``: ``fingerprint`` and :meth:`Dataset.sizes`."""
    return {"fingerprint": dataset.fingerprint, **dataset.sizes()}


def check_same(dataset: Dataset, data: Mapping[str, Any] | None, source: Path) -> None:
    """Raise UserError if a data set is not the one that a model was made for.

    Args:
        dataset: Data set of the model's settings, as it is now.
        data: Record of the model's data, see :func:`data_of`; ``None`` where an earlier version did not write it.
        source: The model's folder, for messages.
    """
    if not data or data["fingerprint"] == dataset.fingerprint:
        return
    sizes = {key: value for key, value in data.items() if key != "fingerprint"}
    raise UserError(
        f"the data have changed: the model in '{source}' was made for {told(data['fingerprint'], sizes)}, now there "
        f"are {told(dataset.fingerprint, dataset.sizes())}; restore the data, or name others with dataset=NAME"
    )


def dataset_of(
    settings: Mapping[str, Any], device: str, cache: Path, source: Path, allowed: Allowed = NO_OTHERS
) -> Dataset | None:
    """Build the data set of these settings; ``None`` if they name none.

    Args:
        settings: Nodes by group.
        device: Torch device of the networks.
        cache: Folder of downloaded files and decoded images.
        source: Origin of the settings, for messages.
        allowed: Classes from outside ``nas`` that they may name.

    Raises:
        UserError: If its files are absent or damaged.
    """
    node = settings.get("dataset")
    if not isinstance(node, Mapping) or node.get("_target_") in (None, NOTHING["dataset"]):
        return None
    return _experiment(settings, device, cache, source, allowed).dataset


def _experiment(settings: Mapping[str, Any], device: str, cache: Path, origin: Path, allowed: Allowed) -> Experiment:
    return Experiment.of_folder(settings, origin.parent, device=device, cache=cache, allowed=allowed, origin=origin)
