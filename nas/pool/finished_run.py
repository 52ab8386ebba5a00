"""A finished search, and the parts that it was made of."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, final

import torch

from nas.archive import Archive
from nas.dataset.base import Dataset
from nas.errors import ArchiveError, UserError
from nas.evaluator.joint import JointEvaluator, Networks
from nas.evaluator.subnet import SubnetEvaluator
from nas.pool.base import Progress
from nas.pool.stored_parts import part_from
from nas.run_folder import RunFolder
from nas.supernet.base import Supernet
from nas.supernet.several import Several
from nas.training.base import Training


@final
class FinishedRun:
    """Settings and archive of a run; data, supernet, weights and evaluator are built anew when they are asked for.

    Attributes:
        folder: the run's.
        config: its settings' file, for messages.
        settings: resolved.
        archive: its evaluations.
        members: of the front, as ``front.json`` lists them, ascending in error.
        measuring: settings of the evaluator of networks; of a run of cascades of subnets, those of its networks.
        threads: of torch, on which the cached weights and the last digits of results depend.
    """

    def __init__(self, folder: Path, *, key: str, device: str, cache: Path) -> None:
        """Read settings, archive and front.

        Args:
            folder: of the run.
            key: the setting that names it, for messages.
            device: where networks will be.
            cache: folder of trained supernets and decoded images.

        Raises:
            UserError: if the folder holds no finished run, or is damaged.
        """
        self.folder = folder
        self.config = folder / "config.yaml"
        self._offers: dict[str, Any] = {"device": device, "cache": cache, "objectives": ()}
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
        """The images that it measured networks on."""
        return part_from(self.settings, "dataset", Dataset, self._offers, self.config)  # type: ignore[type-abstract]

    @cached_property
    def supernet(self) -> Supernet:
        """The supernet; its weights are those that the run left once :meth:`train` has returned."""
        offers = self._offers | {"dataset": self.dataset, "n_classes": self.dataset.n_classes}
        supernet = part_from(self.settings, "supernet", Supernet, offers, self.config)  # type: ignore[type-abstract]
        if supernet.space.names != self.archive.gene_names:
            raise UserError(f"{self.config}: this version's search space has other genes than the run's")
        return supernet

    @property
    def runs_networks(self) -> bool:
        """Whether subnets were run on images, alone or in cascades, and no outputs of a pool or tables looked up."""
        evaluator = self.settings.get("evaluator")
        names = [f"{kind.__module__}.{kind.__name__}" for kind in (SubnetEvaluator, JointEvaluator)]
        return isinstance(evaluator, Mapping) and evaluator.get("_target_") in names

    @cached_property
    def networks(self) -> Supernet:
        """What networks are cut out of: the supernet, or :class:`Networks` of several."""
        return Networks(self.supernet) if isinstance(self.supernet, Several) else self.supernet

    def train(self, progress: Progress) -> None:
        """Give the supernet the weights that the run left, from its folder or the cache if they are there."""

        def told(activity: str, done: int, total: int) -> None:
            progress(done, total, activity)

        offers = self._offers | {"dataset": self.dataset, "supernet": self.supernet, "space": self.supernet.space}
        offers |= {"folder": self.folder, "run_seed": self.settings.get("seed"), "replica": None, "shares": 1}
        with self.as_it_ran():
            training = part_from(self.settings, "training", Training, offers, self.config)  # type: ignore[type-abstract]
            training.conclude(told)

    def evaluator(self) -> SubnetEvaluator:
        """Return a new evaluator with the run's settings, which extracts networks as the run measured them."""
        offers = self._offers | {"dataset": self.dataset, "supernet": self.networks}
        return part_from({"evaluator": self.measuring}, "evaluator", SubnetEvaluator, offers, self.config)

    @contextmanager
    def as_it_ran(self) -> Iterator[None]:
        """Use the run's number of threads."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)
