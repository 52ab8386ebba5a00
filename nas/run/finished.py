"""A finished search, and the parts that it was made of."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, final

import torch

from nas.dataset.base import Dataset
from nas.errors import ArchiveError, UserError
from nas.evaluator.subnet import SubnetEvaluator
from nas.experiment import Experiment
from nas.run.archive import Archive
from nas.run.folder import MOVABLE_SETTINGS, RunFolder
from nas.supernet.base import Supernet
from nas.targets import NO_OTHERS, Allowed
from nas.types import Progress


@final
class FinishedRun:
    """Finished run: settings and archive are read at once; data, supernet and evaluator are built on first use.

    Attributes:
        folder: The run's.
        config: Its settings' file, for messages.
        settings: Resolved.
        archive: Its evaluations.
        members: Members of the front, as ``front.json`` lists them, ascending in error.
        measuring: Settings of the evaluator of networks; of a run of cascades of subnets, those of its networks.
        threads: Number of torch threads, on which the cached weights and the last digits of results depend.
        weights: Digest of the supernet's weights, as the archive has it, once :meth:`train` has returned.
    """

    def __init__(
        self,
        folder: Path,
        *,
        key: str,
        device: str,
        cache: Path,
        allowed: Allowed = NO_OTHERS,
        named: Mapping[str, Any] | None = None,
        parts: Mapping[str, Any] | None = None,
    ) -> None:
        """Read settings, archive and front.

        Args:
            folder: Run folder.
            key: The setting that names it, for messages.
            device: Torch device of the networks.
            cache: Folder of trained supernets and decoded images.
            allowed: Classes from outside ``nas`` that its settings may name.
            named: Settings of data that the command line names; where the run's are not found, those of the same kind
                are looked at there.
            parts: Objects by group that the run was made with in place of settings.

        Raises:
            UserError: If the folder holds no finished run, or is damaged.
        """
        self.folder = folder
        self.config = folder / "config.yaml"
        self._places: dict[str, Any] = {"device": device, "cache": cache, "allowed": allowed, "parts": parts}
        self._named = named
        self._given_dataset = (parts or {}).get("dataset")
        self.weights: str | None = None
        if not RunFolder(folder).is_finished():
            raise UserError(f"{key}: '{folder}' holds no finished run")
        try:
            self.settings: Mapping[str, Any] = RunFolder(folder).settings()
            self.archive = Archive.reopen(folder / "archive.jsonl")
            self.threads = int(self.settings["threads"])
            front = RunFolder(folder).front()
            self.members: list[Mapping[str, Any]] = front["front"]
            self.measuring: Mapping[str, Any] = dict(self.settings["evaluator"])
            self.measuring = self.measuring.get("networks", self.measuring)
            if front["step"] != self.archive.next_step - 1:
                raise ValueError("archive.jsonl ends before the front's last step")
        except (OSError, ValueError, KeyError, TypeError, ArchiveError) as error:
            raise UserError(f"{key}: the run in '{folder}' is damaged ({error})") from error

    @cached_property
    def dataset(self) -> Dataset:
        """Data set of the run; UserError if the images have changed."""
        own = self.settings.get("dataset")
        nodes = [own]
        if isinstance(own, Mapping) and self._named and self._named.get("_target_") == own.get("_target_"):
            moved = {key: value for key, value in self._named.items() if f"dataset.{key}" in MOVABLE_SETTINGS}
            nodes.append({**own, **moved})
        for node in nodes:
            try:
                dataset: Dataset = self._given_dataset or self._stored.part("dataset", node)
                RunFolder(self.folder).check_data({"dataset": dataset.fingerprint}, dataset.sizes)
                return dataset
            except UserError as error:
                reason = error
        raise reason

    @cached_property
    def supernet(self) -> Supernet:
        """Supernet of the run; it has the run's weights after :meth:`train`.

        UserError if the checkpoint file has changed.
        """
        supernet = self.experiment.supernet
        if supernet.space.names != self.archive.gene_names:
            raise UserError(f"{self.config}: this version's search space has other genes than the run's")
        RunFolder(self.folder).check_data(checkpoint_fingerprint(supernet), self.dataset.sizes)
        return supernet

    @property
    def runs_networks(self) -> bool:
        """Whether the run evaluated subnets on images, instead of stored outputs or tables."""
        node = self.settings.get("evaluator")
        return isinstance(node, Mapping) and bool(self._stored.kind("evaluator").runs_networks)

    def train(self, progress: Progress) -> None:
        """Load the weights that the run left in its folder.

        Runs of earlier versions may have none; then the weights come from the cache or from a new training.
        """
        with self.as_it_ran():
            training = self.experiment.changed(supernet=self.supernet, replica=None).training
            training.conclude(progress)
            self.weights = training.weights

    def evaluator(self) -> SubnetEvaluator:
        """Return a new evaluator with the run's settings, which extracts networks as the run measured them."""
        if not issubclass(self.experiment.kind("evaluator", self.measuring), SubnetEvaluator):
            raise UserError(f"{self.config}: evaluator._target_={self.measuring['_target_']} is no SubnetEvaluator")
        networks: dict[str, Any] = {"supernet": self.supernet, "objectives": ()}
        found: SubnetEvaluator = self.experiment.part("evaluator", self.measuring, **networks)
        return found

    @cached_property
    def experiment(self) -> Experiment:
        """The run's parts, built anew; the images may have moved."""
        return self._stored.changed(dataset=self.dataset)

    @cached_property
    def _stored(self) -> Experiment:
        return Experiment.of_folder(self.settings, self.folder, **self._places)

    @contextmanager
    def as_it_ran(self) -> Iterator[None]:
        """Use the run's number of threads."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def checkpoint_fingerprint(supernet: Supernet) -> dict[str, str]:
    """Return the fingerprint of a supernet's checkpoint files under ``"checkpoint"``; empty without files."""
    return {"checkpoint": "+".join(supernet.checkpoints)} if supernet.checkpoints else {}
